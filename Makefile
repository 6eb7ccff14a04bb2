# Every command of the project; each does the set-up that it needs, and a second one finds it done.

BIN := .venv/bin

# The machine's own Pythons, best first: a version manager's `python3` may be an old one, or fail
# because .python-version names one that it hasn't installed; then what it has installed will do.
PYTHON := $(shell for name in python3 python3.13 python3.12 python3.14 /usr/bin/python3 \
	$(wildcard $(HOME)/.pyenv/versions/3.1[2-9]*/bin/python3); do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1 && echo "$$name" && break; done)

# The lock files name no host; hashes make whatever an index answers safe.
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes

.DEFAULT_GOAL := help
.PHONY: help install run serve worker test test-quick test-clients test-faults lint audit bench

help:
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 18

install: .venv/run.stamp  ## .venv and the locked dependencies, nothing else

run: .venv/run.stamp  ## all set-up, 10,000 demo products, server and worker
	@$(BIN)/python -m config.dotenv
	@$(BIN)/python -m config.server --check
	@LOG_FORMAT=$${LOG_FORMAT:-console} $(BIN)/python manage.py prepare
	@LOG_FORMAT=$${LOG_FORMAT:-console} exec $(BIN)/python -m config.server --with-worker

serve: .venv/run.stamp  ## the server alone, as the environment says
	@exec $(BIN)/python -m config.server

worker: .venv/run.stamp  ## a background worker, as the environment says
	@exec $(BIN)/python manage.py work

# Its halves run side by side, each in two processes, since a third of the time is spent waiting: one is seen running,
# the other's log comes after it, and both verdicts come last.
SHARED := -n 2 --dist loadfile --no-loadscope-reorder
test: .venv/dev.stamp  ## the whole suite: on SQLite, and on PostgreSQL and Redis
	@logs=$$(mktemp -d); export COLUMNS=120; \
	TEST_BACKEND=embedded $(BIN)/python -m pytest $(SHARED) >"$$logs/embedded" 2>&1 & embedded=$$!; \
	trap 'kill $$embedded; exit 130' INT TERM; \
	{ TEST_BACKEND=production $(BIN)/python -m pytest $(SHARED) 2>&1; echo $$? >"$$logs/status"; } | tee -i "$$logs/production"; \
	status=$$(cat "$$logs/status"); wait $$embedded || status=$$?; cat "$$logs/embedded"; \
	for half in embedded production; do echo "$$half:"; tail -n 1 "$$logs/$$half"; done; \
	rm -r "$$logs"; exit $$status

test-quick: .venv/dev.stamp  ## what is quick of it, on SQLite: a case of each test that takes less than a fifth of a second
	@TEST_BACKEND=embedded $(BIN)/python -m pytest -q -n 3 -p tests.quick -m "not faults and not slow and not clients" --ignore tests/test_schemathesis.py

# Generators of clients and data tools, which are installed beside ours. What a machine lacks (Java, Go) is left out.
test-clients: .venv-clients/stamp .venv/dev.stamp  ## generated clients, data tools and the guide's programs, on a live server
	@TEST_BACKEND=embedded $(BIN)/python -m pytest -q -m clients tests/real_clients

# The faults of jobs, which mostly wait, beside the tests at their full size; then the faults that measure times.
test-faults: .venv/dev.stamp  ## the long tests: many clients at once, services and workers that die
	@status=0; log=$$(mktemp); export NOTE_FIGURES=true TEST_BACKEND=production WEBHOOK_CHANGES=100000 WEBHOOK_KILLS=20 FEED_KILLS=20 \
		IMPORT_BATCH=250; \
	$(BIN)/python -m pytest -q -m faults tests/exports >"$$log" 2>&1 & jobs=$$!; \
	RAISES=100 COPIES=20 READS=100000 COMBINATIONS=1000 TITLES=1000 FORMS=100 PIECES=100 KILLS=3 SHARE=1 \
	WHOLE_FILES=true $(BIN)/python -m pytest -s \
		-k "raise_one_number or is_what_the_list_counts or with_a_slip_are_found or its_other_forms \
		or are_the_table or is_older_than or somebody_holds or takes_too_long or sell_each_piece_once \
		or edit_and_its_undo or write_every_product_once or grocery_listing or any_value_of_any \
		or any_text_in_a_path or answer_alike or answers_as_django_does" || status=1; \
	SHARE=1 $(BIN)/python -m pytest -q -m "hypothesis and not faults and not clients" || status=1; \
	for backend in production embedded; do \
		SCHEMATHESIS_WHOLE=true TEST_BACKEND=$$backend $(BIN)/python -m pytest tests/test_schemathesis.py || status=1; \
	done; \
	TEST_BACKEND=embedded SHARE=1 WALKED_ROWS=6000 CUTS=100 KILLS=3 $(BIN)/python -m pytest tests/test_mass_assignment.py \
		tests/test_any_text.py tests/catalog/edits/test_faults.py \
		tests/catalog/staff/test_shopkeeper_day.py tests/exports/jobs/test_downloads.py || status=1; \
	wait $$jobs || status=1; cat "$$log"; rm "$$log"; \
	$(BIN)/python -m pytest -m faults --ignore tests/exports || status=1; exit $$status

bench: .venv-bench/stamp .venv/run.stamp  ## ours beside the usual ways; make bench BENCH="--quick"
	@$(BIN)/python -m tests.benchmarks $(BENCH)

lint: .venv/dev.stamp  ## ruff and mypy
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@SECRET_KEY=only-to-read-the-settings $(BIN)/mypy

audit: .venv/dev.stamp  ## sbom.json (CycloneDX) of the locked packages, and their known weaknesses
	@$(BIN)/cyclonedx-py requirements requirements.lock --output-reproducible --output-file sbom.json
	@$(BIN)/python -c "import urllib.request as u; u.urlopen('https://pypi.org/pypi/pip/json', timeout=10)" 2>/dev/null \
		|| { echo "audit: skipped, the advisories of pypi.org can't be reached"; exit 0; }; \
	$(BIN)/python -m pip_audit --requirement requirements.lock --require-hashes --disable-pip --progress-spinner off

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Tenfold needs Python 3.12 or later: install it, or name one, as in make PYTHON=/usr/bin/python3.13" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || { \
		echo "Tenfold needs Python 3.12 or later, and $(PYTHON) is older: name another, as in make PYTHON=/usr/bin/python3.13" >&2; exit 1; }
	@echo "Creating .venv with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv --clear .venv || { \
		echo "$(PYTHON) can't make a virtual environment (on Debian: apt-get install python3-venv)" >&2; rm -rf .venv; exit 1; }

.venv/run.stamp: requirements.lock | $(BIN)/python
	@echo "Installing what requirements.lock names (about a minute)"
	@$(PIP) --requirement requirements.lock
	@touch $@

.venv/dev.stamp: requirements-dev.lock .venv/run.stamp
	@echo "Installing what requirements-dev.lock names (about a minute)"
	@$(PIP) --requirement requirements-dev.lock
	@touch $@

.venv-clients/stamp: tests/real_clients/requirements.lock tests/real_clients/package-lock.json | $(BIN)/python
	@command -v npm >/dev/null || { echo "npm is missing (Debian: npm)" >&2; exit 1; }
	@echo "Installing generators, clients and data tools into .venv-clients (about a minute)"
	@$(BIN)/python -m venv --clear .venv-clients
	@.venv-clients/bin/python -m pip install -qq --disable-pip-version-check --require-hashes --requirement $<
	@cd tests/real_clients && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

.venv-bench/stamp: tests/benchmarks/requirements.lock | $(BIN)/python
	@echo "Installing the benchmark's peers into .venv-bench (about a minute)"
	@$(BIN)/python -m venv --clear .venv-bench
	@.venv-bench/bin/python -m pip install -qq --disable-pip-version-check --require-hashes --requirement $<
	@touch $@
