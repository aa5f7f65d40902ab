# The first two commands: `make demo` and `make test`. Both make the environment themselves, on a
# machine that has Python 3.11 or newer with pip, and make. `make demo TORCH=cpu` installs torch for
# processors only, without CUDA's 4 GB; so does `make test TORCH=cpu`. Other words are uv's, such as
# cu126 or auto (docs/install.md).
PYTHON ?= python3
TORCH ?=
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
# What is pinned has hashes of the usual torch; another build of it has others.
PINNED := -c requirements.txt $(if $(TORCH),--no-verify-hashes --torch-backend $(TORCH))

.PHONY: demo test check tests test-slow tests-pacs bench docs lock clean

demo: $(VENV)/.ready_to_read
	$(BIN)/fourview demo -o demo

test: check tests

check: $(VENV)/.ready
	$(BIN)/ruff format --check -q .
	$(BIN)/ruff check -q .
	$(BIN)/mypy
	$(BIN)/lint-imports

tests: $(VENV)/.ready
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --dist loadgroup -m "not slow"

test-slow: $(VENV)/.ready
	$(BIN)/pytest -q -m slow

tests-pacs: $(VENV)/.ready  # a network of its own with Debian's Orthanc in it; needs root
	unshare -n sh -c 'ip link set lo up && OMP_NUM_THREADS=1 $(BIN)/pytest -q tests/node'

bench: $(VENV)/.ready
	$(BIN)/python -m benchmarks

docs: $(VENV)/.ready  # the site of docs/, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

$(VENV)/.uv:
	$(PYTHON) -c 'import sys; sys.exit("Fourview needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -x $(BIN)/uv || $(BIN)/python -m pip install -q uv==$(UV_VERSION)
	touch $@

# What reading and the reading room need: no test tools.
$(VENV)/.ready_to_read: $(VENV)/.uv requirements.txt pyproject.toml
	@echo "installing $(if $(TORCH),about 2 GB,about 6 GB; make demo TORCH=cpu needs a third of that)"
	$(BIN)/uv pip install --python $(BIN)/python --compile-bytecode $(PINNED) -e '.[serve]'
	touch $@

$(VENV)/.ready: $(VENV)/.uv requirements.txt pyproject.toml
ifeq ($(TORCH),)
	$(BIN)/uv pip install --python $(BIN)/python -r requirements.txt
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --no-build-isolation -e .
else
	$(BIN)/uv pip install --python $(BIN)/python $(PINNED) --group dev -e .
endif
	touch $@ $(VENV)/.ready_to_read

lock: $(VENV)/.ready  # pins every package with its hashes; run after changing dependencies
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --group dev pyproject.toml -o requirements.txt

clean:
	rm -rf $(VENV) demo
