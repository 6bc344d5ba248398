# The two commands: `make serve` runs a node, `make test` runs the tests. Both do all set-up themselves:
# an own environment in .venv, dependencies at the versions (and hashes) of the lock files, the build.
# Stamp files in .venv remember what is done, so that later calls are quick. `make help` lists the rest.

VENV := .venv
PY := $(VENV)/bin/python
# Arguments for the commands behind a target, as in: make serve ARGS="--port 6380"
ARGS ?=
# Which interpreter makes the environment: the first of these that runs and is new enough.
PYTHON ?= python3 python3.14 python3.13 python3.12 python3.11
# Compiled modules whose stubs must say what they are. What is there for the other module alone has none.
STUBS := respram.engine.native._native respram.wire._fields \
	$(if $(wildcard respram/server/_pump*.so),respram.server._pump)
# Parallel test processes; each may start nodes of its own. Many tests wait for nodes more than they work: with two
# processes a core, both cores were idle for half of the time.
WORKERS ?= $(shell echo $$(( 3 * $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1) )))
# Compiled Python is stored, whatever the environment says. The tests start more than a thousand nodes. Without it each
# node compiles all of respram first (0.45 s of a core instead of 0.3 s), and each test process rewrites the assertions
# of all tests (17 s instead of 6 s).
export PYTHONDONTWRITEBYTECODE :=

PIP_INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check
NATIVE := $(foreach kind,c h pyx pxd pxi,$(wildcard respram/*/*.$(kind) respram/*/*/*.$(kind)))

# Files in which something is held to a time.
TIMED := tests/abuse tests/peers tests/benchmarks/test_load.py tests/benchmarks/test_witness.py \
	tests/server/test_app.py tests/server/test_serve.py tests/server/test_client.py tests/server/test_driver.py \
	tests/server/test_stopping.py

.DEFAULT_GOAL := help
.PHONY: help serve test lint types unit test-slow prices test-timing soak trials trials-stops trials-restores \
	trials-restarts attacks fuzz-clients attacks-long sim sim-safety oracle build dev lock clean distclean

help: ## what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

serve: build ## run a node (ARGS="--port 6380")
	@exec $(VENV)/bin/respram serve $(ARGS)

test: lint build dev ## everything that must pass: ruff, strict mypy, the tests
	@$(MAKE) --no-print-directory -j2 types unit  # mypy has one core, and tests wait more than they work

lint: dev ## ruff
	$(VENV)/bin/ruff check .

types: dev build ## mypy, strict, and the stubs beside what they describe
	$(VENV)/bin/mypy
	@if ls respram/engine/native/_native*.so >/dev/null 2>&1; then \
		$(PY) -m mypy.stubtest --mypy-config-file pyproject.toml --ignore-missing-stub --ignore-disjoint-bases $(STUBS); fi

# Without a compiler there is no native engine, without redis-server no comparison with it: then those
# tests are left out, and the run says so. Where the tools are, a missing engine is a failure.
unit: dev build ## the tests alone (ARGS="tests/cli/test_main.py -k help")
	@if [ -z "$${RESPRAM_PURE_ONLY+set}" ] && ! $(call can_compile,$(PY)); then \
		echo "unit: no C compiler or no Python headers here; the pure engine is tested alone"; \
		export RESPRAM_PURE_ONLY=1; fi; \
	if [ -z "$${RESPRAM_ALLOW_NO_REDIS+set}" ] && ! command -v redis-server >/dev/null; then \
		echo "unit: no redis-server here; the comparison with it is left out"; \
		export RESPRAM_ALLOW_NO_REDIS=1; fi; \
	[ -n "$(ARGS)" ] || $(MAKE) --no-print-directory $(VENV)/.rewritten; \
	$(PY) -m pytest -q -n $(WORKERS) --dist worksteal $(if $(ARGS),$(ARGS),-m "not slow")

# pytest rewrites the assertions of all tests and keeps the result. On a fresh clone each test process would do it for
# itself, all at once and 10 s of a core each; so one does it before them.
$(VENV)/.rewritten: $(shell find tests -name '*.py') $(VENV)/.dev
	@$(PY) -m pytest -q --collect-only >/dev/null || true  # what fails is said by those that run the tests
	@touch $@

test-slow: dev build $(VENV)/.rewritten ## the tests that take long; with `make test` these are all
	$(PY) -m pytest -q -m slow -n $(WORKERS) --dist worksteal $(ARGS)

prices: dev build $(VENV)/.rewritten ## what each test costs, and anew the list of those that make test leaves out
	rm -rf build/prices
	$(PY) -m pytest -q -p tests.prices -m "dear or not slow" -n $(WORKERS) --dist worksteal
	$(PY) -m tests.prices

test-timing: dev build ## times that a node is held to, on a machine that has nothing else to do
	$(PY) -m pytest -q --timed -m "timing or not slow" $(if $(ARGS),$(ARGS),$(TIMED))

soak: dev build ## ten minutes of clients that come, misbehave and go (ARGS="--minutes 1")
	$(PY) -m tests.abuse.soak $(ARGS)

trials: trials-stops trials-restores trials-restarts ## stops, restores and restarts under load, again and again

trials-stops: dev build ## 200 stops under load, which lose none of 10^6 writes (ARGS="--stops 20 --writes 100000")
	$(PY) -m tests.trials.stops $(ARGS)

trials-restores: dev build ## 50 kills and 50 stops while a node restores its snapshot (ARGS="--ends 5")
	$(PY) -m tests.trials.restores $(ARGS)

trials-restarts: dev build ## 100 rolling restarts under a client that checks each answer (ARGS="--rounds 10 --kill")
	$(PY) -m tests.trials.restarts $(ARGS)

ATTACKS := tests/abuse tests/snapshot/test_directory.py tests/snapshot/test_keys.py tests/snapshot/test_tombstones.py \
	tests/peers/test_strangers.py tests/peers/test_forged_tombstones.py tests/peers/test_rotation.py \
	tests/peers/test_certificates.py \
	tests/peers/test_identity.py tests/peers/test_expulsion.py tests/peers/test_first_peer.py \
	tests/engine/test_wiped.py tests/server/test_guard.py tests/server/test_client.py \
	tests/server/test_stopping.py tests/server/test_loading.py tests/server/test_pump_crowds.py \
	tests/commands/test_broadcasts.py tests/server/test_broadcasts.py \
	tests/commands/test_holding.py tests/commands/test_walking.py tests/commands/test_patterns.py \
	tests/commands/test_telling.py tests/commands/test_settling.py tests/commands/test_census.py \
	tests/commands/test_script_rights.py \
	tests/server/test_client_eviction.py tests/commands/test_invalidation.py \
	tests/commands/test_config_command.py tests/test_seal.py tests/gossip/test_members.py \
	tests/gossip/test_greeting.py tests/gossip/test_identity.py tests/gateway/test_patience.py \
	tests/gateway/test_turns.py tests/gateway/test_agents.py tests/gateway/test_data.py \
	tests/gossip/test_segment_keys.py tests/server/test_secret.py tests/server/test_door.py \
	tests/server/test_handshakes.py tests/server/test_knock.py \
	tests/server/test_expiring.py tests/commands/test_acl_check.py tests/commands/test_letting_go.py \
	tests/commands/test_refusals.py tests/commands/test_scripts.py tests/scripting tests/config/test_settings.py \
	tests/gossip/test_expulsions.py tests/server/test_snapshots.py tests/test_invariants.py

fuzz-clients: dev build ## a million random commands from 50 connections (ARGS="--commands 100000 --seed 7")
	$(PY) -m tests.abuse.client_fuzz $(ARGS)

attacks: dev build ## the tests that SECURITY.md names (`make test` runs them too)
	$(PY) -m pytest -q $(ATTACKS) $(ARGS)

attacks-long: dev build ## 10^6 hostile messages to two peers, then fuzz-clients (ARGS="--messages 100000 --seed 7")
	$(PY) -m tests.abuse.fuzz_peers --messages 1000000 --seconds 600 $(ARGS)
	@$(MAKE) --no-print-directory fuzz-clients ARGS=

sim: build ## the simulator: a thousand nodes, then a thousand seeds of faults (ARGS="--seed 7" for others)
	$(PY) -m respram.sim --nodes 1000 --seed 42 $(ARGS)
	@$(MAKE) --no-print-directory sim-safety

sim-safety: build ## 1,000 seeds of partitions, crashes, wrong clocks and shortened lives, then 100 that must end equal
	$(PY) -m respram.sim --seeds 1000 $(ARGS)
	$(PY) -m respram.sim --seeds 100 --mode liveness $(ARGS)

oracle: dev build ## the same random commands to redis-server and to respram, compared byte for byte
	$(PY) -m compat.oracle $(ARGS)

build: $(VENV)/.built ## the package, editable, with the native engine where there is a C compiler

dev: $(VENV)/.dev ## the tools of the tests

lock: ## write the lock files anew (needs uv on the PATH)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--extra dev --upgrade pyproject.toml -o requirements-dev.lock
	printf 'setuptools\nCython\n' | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --extra scripts -c requirements-dev.lock pyproject.toml - -o requirements.lock
	printf 'setuptools\nCython\n' | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --extra scripts --extra gateway --extra metrics -c requirements-dev.lock pyproject.toml - \
		-o requirements-image.lock
	for extra in docs release quality; do uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --extra $$extra -c requirements-dev.lock --upgrade pyproject.toml \
		-o requirements-$$extra.lock || exit 1; \
	done

clean: ## what was built and cached
	rm -rf build dist ./*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis $(VENV)/.built $(VENV)/.rewritten
	rm -f respram/*/*.so respram/*/*/*.so
	find respram tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## and the environment
	rm -rf $(VENV)

# -- set-up -----------------------------------------------------------------------------------------
$(PY):
	@set -e; found=; for name in $(PYTHON); do \
		if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$name; break; fi; done; \
	if [ -z "$$found" ]; then \
		echo "respram needs Python 3.11 or newer; here $$(python3 --version 2>&1 || true)." \
			"Install one, or name it: make PYTHON=/path/to/python3" >&2; \
		exit 1; fi; \
	if ! "$$found" -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "respram needs Python's venv module, which $$found lacks here." \
			"On Debian and Ubuntu: apt install python3-venv" >&2; \
		exit 1; fi; \
	"$$found" -m venv $(VENV)

$(VENV)/.locked: requirements.lock | $(PY)
	$(PIP_INSTALL) --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock | $(VENV)/.locked
	$(PIP_INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.built: setup.py pyproject.toml respram/__init__.py $(NATIVE) $(VENV)/.locked
	@rm -f respram/*/*.so respram/*/*/*.so # where the build fails, none is better than an old one
	$(PIP_INSTALL) --no-build-isolation --no-deps -e .
	@ls respram/engine/native/_native*.so >/dev/null 2>&1 || \
		echo "build: the native engine was not built; to see why: $(PY) setup.py build_ext --inplace"
	@touch $@

# Whether a C file that includes Python.h goes through the compiler.
can_compile = printf '\043include <Python.h>\n' | $${CC:-cc} -fsyntax-only -x c \
	-I"$$($(1) -c 'import sysconfig; print(sysconfig.get_path("include"))')" - 2>/dev/null

$(VENV)/.%-tools: requirements-%.lock | $(VENV)/.locked
	$(PIP_INSTALL) --require-hashes -r $<
	@touch $@

# -- a release ----------------------------------------------------------------------------------------
.PHONY: matrix release cross image docs

matrix: dev ## the tests on every Python from 3.11 to 3.14 that is here (ARGS="--only 3.13 tests/engine")
	$(PY) -m release.matrix $(ARGS)

release: dev build $(VENV)/.release-tools ## archive, wheels, SBOM, provenance and checksums into dist/, each tried
	$(PY) -m release.build $(ARGS)

cross: dev ## wheels for musl and for aarch64, compiled by Zig into dist/cross (pip install ziglang)
	$(PY) -m release.cross $(ARGS)

image: $(PY) ## the Docker image, built, started and spoken to (needs root, mmdebstrap, buildah)
	$(PY) -m release.image $(ARGS)

docs: $(VENV)/.docs-tools ## the documentation site into build/site/public, without a dead link
	$(PY) -m release.site

# -- the C core under the sanitizers ----------------------------------------------------------------
CLANG ?= clang
FUZZ_SECONDS ?= 60
CORE := $(filter-out %/_native.c,$(wildcard respram/engine/native/*.c))
SANITIZE := -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-DRESPRAM_PLAIN_BLOCKS -DRESPRAM_CHECKED

.PHONY: fuzz asan

fuzz: build/fuzz/scanner build/fuzz/store ## the fuzzers of the C core, a minute each (needs clang)
	@mkdir -p build/fuzz/found
	@for target in scanner store; do \
		echo "fuzz: $$target, $(FUZZ_SECONDS) s"; mkdir -p build/fuzz/corpus-$$target; \
		build/fuzz/$$target -max_total_time=$(FUZZ_SECONDS) -max_len=1024 -verbosity=0 -print_final_stats=1 \
			-artifact_prefix=build/fuzz/found/$$target- build/fuzz/corpus-$$target fuzz/corpus/$$target || exit 1; \
	done

build/fuzz/%: fuzz/fuzz_%.c $(CORE) $(wildcard respram/engine/native/*.h)
	@mkdir -p build/fuzz
	$(CLANG) -std=c11 -D_GNU_SOURCE -pthread -Wall -Wextra -Wno-unused-parameter $(SANITIZE) -fsanitize=fuzzer \
		-Irespram/engine/native $< $(CORE) -o $@

# The core and its own tests for arm64, run by an emulator: gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user
# (Debian). What the binding does is tried where the wheels are made, on such machines.
ARM64_CC ?= aarch64-linux-gnu-gcc
ARM64_RUN ?= qemu-aarch64
.PHONY: arm64
arm64: ## the C core built for arm64, its fuzzers' corpus and the check of its table under qemu-user
	@mkdir -p build/arm64
	$(ARM64_CC) -static -std=c11 -O1 -D_GNU_SOURCE -Wall -Werror -DRESPRAM_PLAIN_BLOCKS -Irespram/engine/native \
		tests/engine/table_check.c -o build/arm64/table
	@for seed in 1 2 3; do $(ARM64_RUN) build/arm64/table $$seed || exit 1; done
	@for target in scanner store; do \
		$(ARM64_CC) -static -std=c11 -O3 -g -D_GNU_SOURCE -pthread -fno-strict-aliasing \
			-DRESPRAM_PLAIN_BLOCKS -DRESPRAM_CHECKED -Irespram/engine/native fuzz/replay.c fuzz/fuzz_$$target.c \
			$(CORE) -o build/arm64/$$target -lm || exit 1; \
		echo "arm64: $$target"; $(ARM64_RUN) build/arm64/$$target fuzz/corpus/$$target/* || exit 1; \
	done

# In a copy of the tree, so that the engine in use is not replaced. What needs the real block allocator
# or the real address space is left out. A report of either kind is to be seen: what pytest captures is lost with the
# process, so it does not capture what C writes.
asan: dev ## the engine's, the commands' and the wire's tests with the C core under AddressSanitizer and UBSan
	rm -rf build/asan && mkdir -p build/asan
	cp -r respram tests compat benchmarks docs setup.py pyproject.toml README.md LICENSE build/asan/
	find build/asan -name '*.so' -delete
	cd build/asan && RESPRAM_REQUIRE_NATIVE=1 RESPRAM_CFLAGS="$(SANITIZE) -U_FORTIFY_SOURCE" \
		RESPRAM_LDFLAGS="-fsanitize=address,undefined" ../../$(PY) setup.py --quiet build_ext --inplace
	cd build/asan && \
		LD_PRELOAD="$$($${CC:-gcc} -print-file-name=libasan.so) $$($${CC:-gcc} -print-file-name=libubsan.so)" \
		ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 \
		PYTHONMALLOC=malloc ../../$(PY) -m pytest -v --capture=sys -p no:cacheprovider \
		-k "not without_memory and not wiped and not pages and not sixty_mebibytes" \
		$(if $(ARGS),$(ARGS),tests/engine tests/wire tests/commands)

# -- what the tests notice ----------------------------------------------------------------------------
.PHONY: mutants mutants-native coverage

# In a copy of the tree, since mutmut writes beside what it changes. Its run takes about half an hour on two cores.
mutants: dev build $(VENV)/.quality-tools ## faults planted one by one in Python (ARGS="respram.record*")
	rm -rf build/mutants/python && mkdir -p build/mutants/python
	cp -r respram tests compat benchmarks setup.py pyproject.toml README.md LICENSE build/mutants/python/
	cd build/mutants/python && ../../../$(PY) -m mutmut run $(ARGS) && ../../../$(PY) -m mutmut results

mutants-native: dev build ## the same in the C core (ARGS="--files wheel.c --most 100")
	$(PY) -m tests.mutants.native $(ARGS)

coverage: dev build $(VENV)/.quality-tools ## lines of Python and of C that the tests reach, into build/coverage
	rm -rf build/coverage && mkdir -p build/coverage
	cp -r respram tests compat benchmarks release deploy docs fuzz setup.py pyproject.toml Makefile *.md LICENSE \
		Dockerfile requirements*.lock build/coverage/
	find build/coverage -name '*.so' -delete
	cd build/coverage && RESPRAM_REQUIRE_NATIVE=1 RESPRAM_CFLAGS="-O0 --coverage" RESPRAM_LDFLAGS="--coverage" \
		../../$(PY) setup.py --quiet build_ext --inplace
	cd build/coverage && PYTHONPATH=. ../../$(PY) -m tests.mutants.coverage $(ARGS)

# -- benchmarks: no result while anything else runs on the machine --------------------------------------
.PHONY: bench bench-forwards bench-gateway bench-memory bench-stalls bench-expiry bench-scaling bench-sealing \
	bench-replication bench-snapshots bench-tls bench-commands bench-scripts bench-members

bench: build $(VENV)/.bench ## the comparison with Redis and others, and the README's table (ARGS="--help")
	$(PY) -m benchmarks.canonical $(ARGS)

bench-memory: build ## memory per key
	$(PY) -m benchmarks.memory $(ARGS)

bench-stalls: build ## the longest wait of a quiet client, while keys grow and while they expire
	$(PY) -m benchmarks.stalls $(ARGS)

bench-members: build ## collections: memory, access as they grow, and who waits while one of 10^6 members ends
	$(PY) -m benchmarks.members $(ARGS)

bench-expiry: build ## how late untouched keys are destroyed
	$(PY) -m benchmarks.expiry_lag $(ARGS)

bench-replication: build ## lag, bytes and CPU of an enclave beside Redis with replicas
	$(PY) -m benchmarks.replication $(ARGS)

bench-snapshots: build ## a restart of 1M records from segments beside filling up from a peer
	$(PY) -m benchmarks.snapshots --write $(ARGS)

bench-tls: build ## TLS for clients beside that of redis-server
	$(PY) -m benchmarks.tls $(ARGS)

bench-scripts: build ## scripts beside Redis, by what they do
	$(PY) -m benchmarks.scripts $(ARGS)

bench-commands: build ## other commands than GET and SET, and transactions
	$(PY) -m benchmarks.commands $(ARGS)

bench-forwards: build ## what a decision costs at another node than its key's home
	$(PY) -m benchmarks.forwards $(ARGS)

bench-sealing: build ## what sealing values in memory costs
	$(PY) -m benchmarks.sealing $(ARGS)

bench-gateway: dev build ## the gateway beside a bare handler, and what idle watchers cost (needs wrk)
	$(PY) -m benchmarks.gateway $(ARGS)

bench-scaling: build ## cost by keys, value size and connections
	$(PY) -m benchmarks.scaling $(ARGS)

$(VENV)/.bench: benchmarks/requirements.txt | $(VENV)/.locked
	$(PIP_INSTALL) --require-hashes -r benchmarks/requirements.txt
	@touch $@

# -- what others wrote --------------------------------------------------------------------------------
# Clients and frameworks are installed into build/compat by the package managers that are there; what is
# not there is not run, and the result says so.
# No run begins after six minutes, and all of it ends after eight.
.PHONY: compat compat-core
compat: dev build ## real clients and frameworks against a node; writes compat/RESULTS.md (ARGS="go_redis django")
	$(PY) -m compat.matrix $(ARGS)

.PHONY: applications
applications: dev build ## real applications on Redis and on respram; writes compat/APPLICATIONS.md (ARGS="celery")
	$(PY) -m compat.applications $(ARGS)

compat-core: dev build # those that need little to install
	timeout --kill-after=20 8m $(PY) -m compat.matrix --core --seconds 360 $(ARGS)
