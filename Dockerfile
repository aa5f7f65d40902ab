# Fourview on a processor, for a user without rights. From the root of a checkout:
#
#   docker build -t fourview .
#   docker run --rm --network none -v "$PWD/study:/study:ro" -v "$PWD/out:/out" fourview read /study -o /out
#
# The folder on /out must be writable for user 10001; or add --user "$(id -u):$(id -g)".
ARG PYTHON=3.12-slim-bookworm

FROM python:${PYTHON} AS build
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE requirements.txt ./
COPY src ./src
# Which torch: cpu, or a word of uv's such as cu126 (docs/install.md).
ARG TORCH=cpu
RUN uv venv /opt/fourview \
    && uv pip install --python /opt/fourview/bin/python --no-cache --compile-bytecode \
       -c requirements.txt --no-verify-hashes --torch-backend "${TORCH}" '.[serve]'

FROM python:${PYTHON}
RUN useradd --uid 10001 --create-home fourview
COPY --from=build /opt/fourview /opt/fourview
ENV PATH=/opt/fourview/bin:$PATH HOME=/home/fourview PYTHONUNBUFFERED=1
USER 10001
WORKDIR /home/fourview
ENTRYPOINT ["fourview"]
CMD ["--help"]
