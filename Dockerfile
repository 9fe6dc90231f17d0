# Two images from one file:
#
#   docker build --target operator -t finetune-operator:0.1.0 .
#   docker build --target trainer  -t finetune-trainer:0.1.0  .
#
# BASE_IMAGE may be any image with Python >= 3.11 and its venv module. One that brings its own torch (a GPU vendor's, say) keeps
# it: the virtual environment sees the base's packages, and torch's pins are left out of the constraints.
# Dependencies and our code are separate layers, so that a change of code costs seconds and not gigabytes.
# Where packages come through a mirror, lend the build its pip configuration and certificates; they do not stay in the image:
#   --secret id=pip,src=pip.conf --secret id=ca,src=ca.crt
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS base
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv --system-site-packages /opt/venv
# A numeric user, since `runAsNonRoot` cannot judge a name. Nothing in the image belongs to it, so nothing can be rewritten.
USER 65532:65532
WORKDIR /tmp

# The lists alone decide whether a dependency layer is built anew; a change elsewhere in pyproject.toml does not.
FROM base AS requirements
COPY pyproject.toml constraints.txt trainer_image/image_requirements.py /src/
USER 0
RUN python3 /src/image_requirements.py /src/pyproject.toml /src/constraints.txt /src

FROM base AS operator-dependencies
USER 0
COPY --from=requirements /src/operator.txt /src/pins.txt /requirements/
RUN --mount=type=secret,id=pip --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    if [ -s /run/secrets/pip ]; then export PIP_CONFIG_FILE=/run/secrets/pip; fi; \
    pip install -r /requirements/operator.txt -c /requirements/pins.txt
USER 65532:65532

FROM operator-dependencies AS operator
COPY crds /app/crds
COPY operator /app
ENV PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["python", "-m", "finetune_operator.main"]

FROM base AS trainer-dependencies
USER 0
COPY --from=requirements /src/trainer.txt /src/pins.txt /requirements/
RUN --mount=type=secret,id=pip --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    if [ -s /run/secrets/pip ]; then export PIP_CONFIG_FILE=/run/secrets/pip; fi; \
    pip install -r /requirements/trainer.txt -c /requirements/pins.txt
USER 65532:65532

FROM trainer-dependencies AS trainer
COPY operator/finetune_api /app/finetune_api
COPY trainer_image/finetune_trainer /app/finetune_trainer
ENV PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["python", "-m", "finetune_trainer"]
