# One entry point.  The work is done by tools/environment.sh, which can be read and run by itself.
#
#   make build     set up what is missing and build into install/
#   make demo      build, then a depot of simulated connectors shares a fuse that is too small (CONNECTORS=…);
#                  with DRIVER=… one connector with that driver goes through a whole session
#   make test      build, lint, type-check and test (PYTEST_ARGS="-k …" for a part)
#   make test-pure the tests of the pure packages alone, without ROS 2
#   make test-ros  the tests of what was installed alone
#   make test-distribution  those of them that a second distribution of ROS 2 may fail (DISTRO=kilted)
#   make lint      ruff and mypy
#   make endurance kill, stall and cut off nodes and kill the writers of session records 200 times (KILLS=…), and
#                  simulate a year of sessions (DAYS=…); three quarters of an hour
#   make endurance-site  simulate a depot for a month (DAYS=30 CONNECTORS=100; hours), in one process, in simulated time
#   make faults    run the fault catalogue; rewrites docs/faults.md
#   make fuzz      ten million steps of the charging kernel with random inputs (STEPS=… SEED=…; half an hour)
#   make fuzz-parsers  ten million bytes of garbage for the parser of each serial board and for its driver, and inputs
#                  found by coverage (BYTES=… RUNS=… SEED=… PARSER=rapi|yeti|modbus)
#   make mutants   mutation testing of charging, metering, lease and energy (PACKAGE=… for one; hours for charging)
#   make benchmarks measure reactions, start, processor time and memory; rewrites the tables of docs/performance.md
#   make docs      write the generated pages of docs/
#   make clean     remove build products (DEEP=1: the virtual environment too)
#
# DISTRO=jazzy (default) or kilted.

SHELL := /bin/bash
export DISTRO DRIVER CONNECTORS PYTEST_ARGS DEEP

.DEFAULT_GOAL := build
.PHONY: build demo test test-pure test-ros test-distribution lint docs clean
build demo test test-pure test-ros test-distribution lint docs clean:
	@bash tools/environment.sh $@

.PHONY: endurance
endurance: export EVSE_MANAGER_KILLS = $(or $(KILLS),200)
endurance: export EVSE_MANAGER_DAYS = $(or $(DAYS),365)
endurance: export PYTEST_ARGS = test/store/test_kill.py test/nodes/test_kills.py test/nodes/test_middleware.py test/depot/test_depot_failures.py test/endurance -o faulthandler_timeout=0
endurance:
	@bash tools/environment.sh test

.PHONY: endurance-site
endurance-site: export EVSE_MANAGER_SITE_DAYS = $(or $(DAYS),30)
endurance-site: export EVSE_MANAGER_SITE_CONNECTORS = $(or $(CONNECTORS),100)
endurance-site: export PYTEST_ARGS = test/endurance/test_site_month.py
endurance-site:
	@bash tools/environment.sh test-pure

.PHONY: benchmarks
benchmarks:
	@bash tools/environment.sh run python3 benchmarks/run.py

.PHONY: faults
faults: export EVSE_FAULTS_PAGE = $(CURDIR)/docs/faults.md
faults: export PYTEST_ARGS = test/faults test/charging/test_commands_in_every_state.py test/nodes test/store test/board/serial -m fault
faults:
	@bash tools/environment.sh test

.PHONY: fuzz
fuzz:
	@bash tools/environment.sh run python3 test/charging/fuzz.py --steps $(or $(STEPS),10000000) --seed $(or $(SEED),1)

.PHONY: fuzz-parsers
fuzz-parsers:
	@bash tools/environment.sh run python3 test/board/serial/fuzz_parsers.py --bytes $(or $(BYTES),10000000) \
		--runs $(or $(RUNS),100000) --seed $(or $(SEED),1) --parser $(or $(PARSER),all)

.PHONY: mutants
mutants:
	@for package in $(or $(PACKAGE),lease metering energy charging); do bash tools/mutants.sh $$package || exit 1; done
