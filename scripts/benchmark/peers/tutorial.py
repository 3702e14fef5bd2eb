"""The script that anyone would write, after the tutorials of PyTorch and FastAPI."""

import sys
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from torch import nn


class Network(nn.Module):
    """10 features, 20 hidden units, 2 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(10, 20)
        self.fc2 = nn.Linear(20, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        logits: torch.Tensor = self.fc2(torch.sigmoid(self.fc1(x)))
        return logits


class Rows(BaseModel):
    """The body of `POST /predict`."""

    inputs: list[list[float]]


class Nested(BaseModel):
    """The body of `POST /sigmoid`: lists of any rank."""

    inputs: Any


app = FastAPI()
model = Network()
model.load_state_dict(torch.load(sys.argv[1]))
model.eval()


# As in the tutorials, handlers have no return type (`response_model=None`). With
# `typed` they have one, and FastAPI writes the answer faster.
answer = dict[str, Any] if sys.argv[3:] == ["typed"] else None


@app.post("/predict", response_model=answer)
async def predict(rows: Rows) -> dict[str, Any]:
    """Return logits and probabilities."""
    with torch.no_grad():
        logits = model(torch.tensor(rows.inputs))
    return {
        "logits": logits.tolist(),
        "probabilities": torch.sigmoid(logits).tolist(),
    }


@app.post("/sigmoid", response_model=answer)
async def sigmoid(nested: Nested) -> dict[str, Any]:
    """Return the sigmoid of every element."""
    return {"outputs": torch.sigmoid(torch.tensor(nested.inputs)).tolist()}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[2]), log_level="warning")
