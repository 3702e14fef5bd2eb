"""Large networks: the engine beside plain PyTorch, ONNX Runtime and the machine."""
