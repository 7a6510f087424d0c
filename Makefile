# Andromède: `make up` runs the cloud, `make test` runs everything that CI runs. See README.md.
VENV   ?= .venv
PYTHON ?= python3
ARGS   ?=
BIN    := $(VENV)/bin
PIP    := $(BIN)/pip --disable-pip-version-check install --quiet

# tests of engines: real guests, networks and disks, which want the cores for themselves and no database
ENGINES := tests/contract/images tests/contract/test_accelerator.py tests/contract/test_balancer_traffic.py \
           tests/contract/test_block_engines.py tests/contract/test_hypervisors.py $(wildcard tests/contract/test_fabric*.py)

# Each test of hosting makes some three hundred tables and indexes anew, which takes PostgreSQL most of a second: of each
# service those files run there that hold most of its statements
HOSTING := $(addprefix tests/unit/,balancer compute images keymanager network volumes)
ON_BOTH := $(addprefix tests/unit/,balancer/test_balancers.py compute/test_books.py compute/test_scale.py \
           compute/test_servers.py images/test_data.py keymanager/test_secrets.py network/test_ports.py \
           network/test_wiring.py volumes/test_snapshots.py volumes/test_volumes.py)

.PHONY: up test lint check unit engines e2e coverage postgres campaign clients conformance conforming tour bench wheel sbom audit lock fmt clean help
.NOTPARALLEL:

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

up: $(VENV)/.run  ## install into .venv (as root what hosting needs too), initialise, run until Ctrl-C (options: ARGS="--tls")
	@$(BIN)/python tools/hosting-packages
	@exec $(BIN)/andromede up $(ARGS)

$(VENV)/bin/pip:
	@$(PYTHON) tools/has-venv
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml | $(VENV)/bin/pip
	@echo "installing Andromède into $(VENV)"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/pip
	@echo "installing Andromède and the development tools into $(VENV)"
	@$(PIP) --editable '.[dev,postgresql,s3]'
	@touch $@ $(VENV)/.run

test: lint check unit engines e2e coverage postgres campaign clients conforming  ## everything that CI runs

lint: $(VENV)/.dev  ## ruff, mypy, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests/support
	$(BIN)/mypy --strict --no-namespace-packages tools/verifier
	$(BIN)/lint-imports --cache-dir build/import-linter

check: $(VENV)/.dev  ## budgets of the house style
	$(BIN)/python tools/check
	$(BIN)/python tools/verifier --check

unit: $(VENV)/.dev  ## unit and contract tests, on SQLite, counted for coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 4 tests/unit tests/contract $(ENGINES:%=--ignore=%)

engines: $(VENV)/.dev  ## contract tests of hypervisor, network and disks on the real ones, where this machine has them; counted for coverage
	$(BIN)/coverage run -m pytest -n 2 $(ENGINES)

postgres: $(VENV)/.dev  ## the same tests on PostgreSQL, where one can be started; of hosting's unit tests only some files
	$(BIN)/python tools/postgres $(BIN)/python -m pytest -n 4 tests/unit tests/contract $(ENGINES:%=--ignore=%) $(HOSTING:%=--ignore=%)
	$(BIN)/python tools/postgres $(BIN)/python -m pytest -n 4 $(ON_BOTH)
	$(BIN)/python tools/postgres $(BIN)/python -m pytest tests/e2e/test_kill.py tests/e2e/test_garbage.py tests/e2e/test_workers.py

e2e: $(VENV)/.dev  ## the installed program: start, stop, real requests, kill -9 under load; counted for coverage
	$(BIN)/coverage run -m pytest -n 2 --dist loadfile tests/e2e --ignore tests/e2e/clients --ignore tests/e2e/third_party

coverage: $(VENV)/.dev  ## lines and branches that `make unit e2e` reached, child processes included
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered

campaign: $(VENV)/.dev  ## short forms of the campaigns of docs/reliability.md; long ones by python -m tests.campaign.<name>
	$(BIN)/python -m pytest -n 2 tests/campaign

clients: $(VENV)/.dev  ## real clients (boto3, rclone, restic, ...) and others' verifiers (Go, aics-tlog, ...); missing ones are installed or named
	$(BIN)/python tools/clients
	$(BIN)/python -m pytest tests/e2e/clients tests/e2e/third_party --ignore tests/e2e/clients/test_hosting.py

tour: $(VENV)/.dev  ## a tenant's day with the openstack client: servers, volumes, backups, bytes compared (some five minutes; not in `make test`)
	$(BIN)/python tools/clients
	$(BIN)/python -m pytest tests/e2e/clients/test_hosting.py

conformance: $(VENV)/.dev  ## public suites; S3TESTS=checkout of ceph/s3-tests, SCS=checkout of SovereignCloudStack/standards
	$(BIN)/python -m tests.conformance.run $(if $(S3TESTS),--s3tests $(S3TESTS)) $(if $(SCS),--scs $(SCS)) $(ARGS)

conforming: ARGS += --short
conforming: conformance  ## the same, of hosting only what fits into four minutes

bench: $(VENV)/.dev  ## paired rounds beside peers, which are installed or named; floors judged (ARGS="--peers nginx,rgw --wide ''")
	$(BIN)/python -m bench $(ARGS)

wheel: $(VENV)/.dev  ## the wheel, in dist/: the same bytes on every machine
	$(BIN)/python tools/wheel

sbom: $(VENV)/.dev  ## bill of materials of the run-time packages (CycloneDX), in dist/
	$(BIN)/python tools/sbom

audit: $(VENV)/.dev  ## ask a public service about known weaknesses of every locked package; fails where it cannot be asked
	$(BIN)/python tools/audit

lock: $(VENV)/.dev  ## write the lock files anew from pyproject.toml (ARGS="--upgrade"); Python 3.11
	$(BIN)/python tools/lock $(ARGS)

fmt: $(VENV)/.dev  ## format and mend what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove what the other targets made
	rm -rf $(VENV) build dist .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
