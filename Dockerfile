FROM python:3.11-slim-bookworm AS build

# Where PyTorch comes from; empty for pip's own index. See docs/deployment.md.
ARG TORCH_INDEX=""
# What is installed: `serve`, or `ray` for Ray Serve as well. See docs/ray.md.
ARG REQUIREMENTS=serve
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/venv && python -m venv /opt/build
COPY scripts/requirements scripts/requirements
RUN /opt/venv/bin/pip install --require-hashes -r "scripts/requirements/$REQUIREMENTS.txt" \
 && /opt/build/bin/pip install --require-hashes -r scripts/requirements/build.txt
# A build of PyTorch that is there stays; libraries that it needs for CUDA are added.
RUN if [ -n "$TORCH_INDEX" ]; then \
      /opt/venv/bin/pip install --no-deps --index-url "$TORCH_INDEX" \
        -r scripts/requirements/torch.txt; \
    fi \
 && /opt/venv/bin/pip install -r scripts/requirements/torch.txt
COPY pyproject.toml README.md LICENSE ./
COPY models models
COPY service service
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /opt/wheel . \
 && /opt/venv/bin/pip install --no-deps /opt/wheel/*.whl \
 && /opt/venv/bin/pip check \
 && /opt/venv/bin/pip uninstall -y pip

FROM python:3.11-slim-bookworm

COPY --from=build /opt/venv /opt/venv
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin sigmoid
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
ENV SIGMOID_HOST=0.0.0.0
USER 10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["python", "-m", "sigmoid_serve.healthcheck"]
ENTRYPOINT ["sigmoid-serve"]
CMD ["serve"]
