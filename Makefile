# The commands of the project. Each sets up what it needs; `make build` and `make test` start from a fresh machine.
#   make build   the main job: everything it needs, then ansible-playbook playbooks/build.yml   (ARGS="..." is passed on)
#   make new     a service of your own: looks at its source and writes the inventory that it proposes   (SERVICE=~/src/price-api, ARGS="-e go_service_name=...")
#   make tools   the environment of the tests: Molecule, pytest, the linters; each command that needs them does this itself
#   make test    everything the tests need, then all of them
#   make test-all   `make test` and what takes too long for it
#   make mutants  small faults in what guards and in the report, one at a time: the tests of the file have to notice   (SAMPLE=40: how many a file, 0: all; ARGS="--only lock --write")
#   make long    the tests that are too long for make test, which goes another way to the same end; with those of an upgrade
#   make scan    trivy, syft and govulncheck on what the role builds, and a module of known vulnerability; builds the scanners at its first time, a quarter of an hour
#   make crash   each operation is ended in every way before and after each call to the Engine, and each call goes wrong in every way
#   make engines  the role on Engines of other kinds and on machines that are half ready, with private modules, and the scenario of that name: a service's life
#                on seven Engines; writes README.md's table. Half an hour, as root
#   make fleet   one host builds, three receive its image by an archive and by a registry; runs that fail and that are killed. A quarter of an hour, as root
#   make soak    many edits of one service in a row with faults strewn in, an hour   (EDITS=200)
#   make alternative   the scenario of that name: many variables set, a build by BuildKit, a user who is not root; some minutes
#   make provision   the scenario of that name: bare machines made ready by SSH as an ordinary user, Docker's repository, ansible-pull; a quarter of an hour
#   make bundle  one archive with all that machines without a network need, for playbooks/provision.yml -e bundle_archive=...   (ARGS="..." is passed on)
#   make offline   the scenario of that name: machines without any network made ready by such an archive; a quarter of an hour
#   make scenarios SCENARIOS=lifecycle   some of the Molecule scenarios alone
#   make against REVISION=main~1   the plays of this checkout against those of an earlier commit, interleaved in one run
#   make bench   measures the role against the same work done by hand, about twenty minutes, and writes docs/benchmarks.md   (ARGS="...")
#   make matrix  the unit tests, the main job and the scenario default on each Ansible and Python that is supported; writes README.md's table   (ARGS="--lines 3.13 --parts unit,job")
#   make lint    ansible-lint, yamllint, ruff, mypy, which room imports which, antsibull's linters, and whether generated documents are up to date
#   make sanity  what Ansible's own tools ask of a collection: antsibull-docs, ansible-test sanity, galaxy-importer
#   make docs    writes the generated parts of the documents anew
#   make release TAG=v1.2.0   holds the tag to the tree, and builds archive, bill of materials, notes and checksums in .cache/release
#   make site    the documents as a site in .cache/site, to be read without a network, each link checked
#   make recording   records the terminal that README.md shows, docs/recording.svg
#   make clean   removes what these commands made in this checkout, and the test machines
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help build tools new test test-all images lint sanity mutants unit unit-services unit-host unit-alone long scan crash engines fleet soak alternative provision bundle offline scenarios bench against matrix docs release site recording clean

PYTHON ?= python3
ARGS ?=
SAMPLE ?= 20
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
INSTALL = "$(BIN)"/pip install --quiet --disable-pip-version-check
# What the package ansible brings and no run here imports: half a minute of compiling. Ansible reads its modules as source.
UNUSED = /ansible_test/|/ansible/modules/|/ansible_collections/(?!community/(docker|library_inventory_filtering_v1)/|ansible/posix/)
# What the main job needs, and what tests and linters need besides.
READY := $(VENV)/.ready
TOOLS := $(VENV)/.tools
CHECKOV := $(VENV)/checkov/bin/checkov
MUTANTS ?= $(VENV)/mutants
MANIFESTS := $(VENV)/manifests/bin/kubernetes-validate
GALAXY := $(VENV)/galaxy-importer/.ready
SITE := $(VENV)/site/bin/sphinx-build
RECORDER := $(VENV)/recording/bin/termtosvg
EDITS ?= 200
# Without what a make that runs it leaves in the environment.
PYTEST = env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "$(BIN)"/python -m pytest tests
SCENARIOS ?= default contract lifecycle

export PATH := $(BIN):$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
# Two checkouts on one machine share nothing of Ansible's and Molecule's scratch files.
export ANSIBLE_HOME := $(CURDIR)/.ansible
export PY_COLORS ?= 0

# An environment of another Python than the one that is asked for by name is made anew; without a name the one that is there goes on.
version_of = $(shell $(1) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
ifneq ($(origin PYTHON),file)
ifneq ($(wildcard $(VENV)/bin/python),)
ifneq ($(call version_of,$(PYTHON)),$(call version_of,$(VENV)/bin/python))
$(READY): other-python
endif
endif
endif

.PHONY: other-python
other-python:
	@echo "$(VENV) is of Python $(call version_of,$(VENV)/bin/python); it is made anew with $(PYTHON)."
	rm -rf $(VENV)

help:
	@sed -n 's/^#   //p' Makefile

$(READY): requirements.txt requirements-hadolint.txt requirements.yml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; choose one with PYTHON=..."; exit 1; }
	@test -x "$(BIN)"/pip || $(PYTHON) -m venv $(VENV) || { \
	  rm -rf $(VENV); \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -q && apt-get install -qy --no-install-recommends python3-venv && $(PYTHON) -m venv $(VENV); \
	  else echo "Python's venv module is missing; install it (Debian: sudo apt-get install python3-venv)."; exit 1; fi; }
	$(INSTALL) --no-compile --requirement requirements.txt
	$(INSTALL) --require-hashes --no-deps --requirement requirements-hadolint.txt
	"$(BIN)"/python -m compileall -q -j 0 -x '$(UNUSED)' $(VENV)/lib
	"$(BIN)"/ansible-galaxy collection install --requirements-file requirements.yml
	@touch $@

$(TOOLS): requirements-tests.txt $(READY)
	$(INSTALL) --requirement requirements-tests.txt
	@touch $@

# In an environment of its own: what it depends on would hold back the others.
$(CHECKOV): requirements-checkov.txt | $(READY)
	"$(BIN)"/python -m venv --clear $(VENV)/checkov
	$(VENV)/checkov/bin/pip install --quiet --disable-pip-version-check --requirement requirements-checkov.txt
	@touch $@

$(MUTANTS)/bin/cosmic-ray: requirements-mutants.txt | $(READY)
	"$(BIN)"/python -m venv --clear $(MUTANTS)
	$(MUTANTS)/bin/pip install --quiet --disable-pip-version-check --requirement requirements-mutants.txt
	@touch $@

$(MANIFESTS): requirements-manifests.txt | $(READY)
	"$(BIN)"/python -m venv --clear $(VENV)/manifests
	$(VENV)/manifests/bin/pip install --quiet --disable-pip-version-check --requirement requirements-manifests.txt
	@touch $@

$(GALAXY): requirements-galaxy.txt | $(READY)
	$(PYTHON) -m venv --clear $(VENV)/galaxy-importer
	$(VENV)/galaxy-importer/bin/pip install --quiet --disable-pip-version-check --requirement requirements-galaxy.txt
	@touch $@

build: $(READY)
	"$(BIN)"/ansible-playbook playbooks/build.yml $(ARGS)

tools: $(TOOLS)

new: $(READY)
	@test -n "$(SERVICE)" || { echo 'Name the directory of the source: make new SERVICE=~/src/price-api'; exit 1; }
	"$(BIN)"/ansible-playbook playbooks/new.yml -e '{"go_service_source": "$(SERVICE)"}' -e '{"new_command": "make build ARGS=\"-i {}\""}' $(ARGS)

# The linters work on one processor; meanwhile the images of the machines that the scenarios need are made.
test: $(TOOLS)
	$(MAKE) --no-print-directory --jobs 2 --keep-going lint images
	$(MAKE) --no-print-directory unit scenarios

images: $(TOOLS)
	@mkdir -p .cache
	@{ "$(BIN)"/ansible-playbook tests/machine.yml && MOLECULE_PROJECT_DIRECTORY="$(CURDIR)" "$(BIN)"/ansible-playbook molecule/testbed/images.yml \
	  -e '{"molecule_yml": {"platforms": [{"image": "go-service-test/vm-debian12-engine"}, {"image": "go-service-test/vm-debian13-engine"}]}}'; \
	} >.cache/images.log 2>&1 || { cat .cache/images.log; exit 1; }

test-all: test alternative long sanity scan engines provision offline fleet mutants crash soak

lint: $(TOOLS)
	"$(BIN)"/ruff check .
	"$(BIN)"/ruff format --check .
	MYPYPATH=collections "$(BIN)"/mypy --no-error-summary -p ansible_collections.proven.go_service.plugins
	"$(BIN)"/python -m pytest -q -p no:cacheprovider tests/unit/project/test_directions.py
	"$(BIN)"/yamllint --strict .
	"$(BIN)"/ansible-lint --offline -q
	"$(BIN)"/antsibull-changelog lint
	scripts/sanity.sh docs
	"$(BIN)"/python scripts/generate_docs.py --check

sanity: $(TOOLS) $(GALAXY)
	scripts/sanity.sh

mutants: $(TOOLS) $(MUTANTS)/bin/cosmic-ray
	"$(BIN)"/ansible-playbook tests/machine.yml
	$(MUTANTS)/bin/python scripts/mutants.py --sample $(SAMPLE) $(ARGS)

# Two at a time, since what needs the Engine waits for half of its time: the services that tests make and those of unit tests have other names. Only the first prints while it
# works; what the others say follows.
unit: $(TOOLS) $(CHECKOV)
	"$(BIN)"/ansible-playbook tests/machine.yml
	$(MAKE) --no-print-directory --jobs 2 --keep-going unit-services unit-host unit-alone

# Code 5: of the tests that ARGS selects none is among these.
unit-services:
	$(PYTEST) --ignore=tests/unit -m 'not long and host' --durations=15 $(ARGS) || test $$? = 5

unit-host unit-alone: unit-%:
	@mkdir -p .cache
	$(PYTEST)/unit -m 'not long and $(if $(filter alone,$*),not )host' --durations=15 $(ARGS) >.cache/unit-$*.log 2>&1 || test $$? = 5 || { cat .cache/unit-$*.log; exit 1; }
	@cat .cache/unit-$*.log

long: $(TOOLS)
	"$(BIN)"/ansible-playbook tests/machine.yml
	"$(BIN)"/python -m pytest tests -m long $(ARGS)

crash: $(TOOLS)
	"$(BIN)"/ansible-playbook tests/machine.yml
	"$(BIN)"/python -m pytest -s tests/unit/runs/crash.py $(ARGS)

scan: $(TOOLS)
	"$(BIN)"/ansible-playbook tests/machine.yml
	"$(BIN)"/python tests/scanners.py
	"$(BIN)"/python -m pytest tests/scan.py $(ARGS)

engines: $(TOOLS)
	"$(BIN)"/ansible-playbook tests/machine.yml
	ENGINES=yes "$(BIN)"/python -m pytest tests/unit/runs/test_other_engines.py tests/test_docker_engine.py tests/test_private_modules.py tests/test_company.py $(ARGS)
	$(MAKE) scenarios SCENARIOS=engines
	"$(BIN)"/python scripts/engines.py

fleet: $(TOOLS) $(MANIFESTS)
	"$(BIN)"/ansible-playbook tests/machine.yml
	FLEET=yes "$(BIN)"/python -m pytest tests/test_fleet.py tests/test_cross_fleet.py tests/test_manifests.py $(ARGS)

soak: $(TOOLS)
	"$(BIN)"/ansible-playbook tests/machine.yml
	EDITS=$(EDITS) "$(BIN)"/python -m pytest tests/soak.py -s

alternative: $(TOOLS)
	$(MAKE) scenarios SCENARIOS=alternative

provision: $(TOOLS)
	$(MAKE) scenarios SCENARIOS=provision

bundle: $(READY)
	"$(BIN)"/ansible-playbook playbooks/bundle.yml $(ARGS)

offline: $(TOOLS)
	$(MAKE) scenarios SCENARIOS=offline

# Each scenario prints a lot: what failed is said again at the very end. CI lets pytest tell whole messages in its summary.
# The longest one waits for most of its time, so the others run beside it, once all images of machines are there; what it printed follows theirs.
scenarios: $(TOOLS)
	"$(BIN)"/ansible-playbook tests/machine.yml
	@mkdir -p .cache; rm -f .cache/*.failed; \
	run() { CI=true "$(BIN)"/molecule test -s $$1 2>&1 | tee .cache/$$1.log || touch .cache/$$1.failed; }; \
	for scenario in $(SCENARIOS); do \
	  test $(words $(SCENARIOS)) = 1 || "$(BIN)"/molecule create -s $$scenario >.cache/create.log 2>&1 || { cat .cache/create.log; exit 1; }; \
	done; \
	$(if $(filter lifecycle,$(SCENARIOS)),run lifecycle >/dev/null &) \
	for scenario in $(filter-out lifecycle,$(SCENARIOS)); do run $$scenario; done; \
	wait; \
	$(if $(filter lifecycle,$(SCENARIOS)),cat .cache/lifecycle.log;) \
	failed="$$(cd .cache; for mark in *.failed; do test ! -e $$mark || echo $${mark%.failed}; done)"; \
	for scenario in $$failed; do \
	  echo; echo "Scenario $$scenario failed; all it printed is in .cache/$$scenario.log. What failed:"; \
	  grep -E --after-context=5 '^([a-z0-9]+ \| )?(FAILED|ERROR) [^- ]|^(fatal|failed): |^CRITICAL|^ImportError' .cache/$$scenario.log | cut -c -600 | tail -n 60 || true; \
	done; \
	test -z "$$failed"

bench: $(TOOLS)
	"$(BIN)"/python -m bench $(ARGS)

against: $(TOOLS)
	"$(BIN)"/python -m bench against $(REVISION) $(ARGS)

matrix:
	$(PYTHON) scripts/matrix.py $(ARGS)

docs: $(TOOLS)
	"$(BIN)"/python scripts/generate_docs.py

$(SITE): requirements-site.txt | $(READY)
	"$(BIN)"/python -m venv --clear $(VENV)/site
	$(VENV)/site/bin/pip install --quiet --disable-pip-version-check --requirement requirements-site.txt
	@touch $@

site: $(TOOLS) $(SITE)
	$(VENV)/site/bin/python scripts/site.py "$(BIN)"

$(RECORDER): requirements-recording.txt | $(READY)
	"$(BIN)"/python -m venv --clear $(VENV)/recording
	$(VENV)/recording/bin/pip install --quiet --disable-pip-version-check --requirement requirements-recording.txt
	@touch $@

recording: $(TOOLS) $(RECORDER)
	"$(BIN)"/ansible-playbook tests/machine.yml
	@# It ends where its input does, and begins with a terminal's settings: it gets a terminal on which nobody types.
	"$(BIN)"/python -c 'import pty, subprocess, sys; sys.exit(subprocess.call(sys.argv[1:], stdin=pty.openpty()[1]))' \
	  $(RECORDER) docs/recording.svg --command scripts/recording.sh --screen-geometry 100x28 --max-frame-duration 1500 --loop-delay 3000 --template window_frame

release: $(TOOLS)
	@test -n "$(TAG)" || { echo 'Name the tag: make release TAG=v1.2.0'; exit 1; }
	"$(BIN)"/python scripts/release.py build "$(TAG)"

clean:
	-for scenario in default alternative lifecycle contract provision offline engines; do "$(BIN)"/molecule destroy -s $$scenario; done
	-"$(BIN)"/python -m bench clean
	rm -rf $(VENV) .cache .ansible reports
