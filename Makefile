# failoverd's commands; `make` alone lists them. All of them set up what they need first.
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help demo demo-guest test test-guest-more test-guest-matrix lint bench-guest bench-netns bench-ctl bench-renames
.PHONY: deb docs clean setup setup-guest

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-19s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## Take a VF away and back under traffic, on this kernel and beside its own devices, and draw what was seen
	@$(BIN)/failoverd-lab demo

demo-guest: setup-guest ## The same in a real guest, which is live-migrated, too
	@$(BIN)/failoverd-lab demo --in vm

test: setup ## Pass the tests: lint, unit, simulated, netns, contract, packaging, guest, stories. TIERS="lint unit" picks some
	@$(BIN)/python tools/tiers.py $(TIERS)

test-guest-more: setup-guest ## The tests in guests that `make test` leaves out: the other Debian release, the other datapaths
	@$(BIN)/python tools/tiers.py more

test-guest-matrix: setup-guest ## Every neighbour in the guest, on every release, at every stop of a pair's life (docs/neighbours.md)
	@$(BIN)/python tools/tiers.py matrix

lint: setup ## Style, types and floors only
	@$(BIN)/python tools/tiers.py lint

bench-guest: setup-guest ## Measure failoverd, net_failover and a bare bond in the same guest
	@$(BIN)/python bench/guest.py

bench-netns: setup ## Measure the tc datapath on this kernel, in namespaces
	@$(BIN)/python bench/netns.py

bench-ctl: setup ## Measure how long failoverctl takes, beside ip and nmcli
	@$(BIN)/python bench/ctl.py

deb: ## Build the Debian package into build/, for Debian 12 and later
	@tools/setup.sh deb
	@tools/deb.sh

bench-renames: setup-guest ## Rename slaves that are up 500 times under traffic, and let udev lose 50 races
	@$(BIN)/python bench/renames.py

docs: setup ## Write the reference pages that are made from the code
	@$(BIN)/python -m failoverd.config.reference > docs/reference/configuration.md
	@$(BIN)/python -m failoverd.config.reference --example > docs/reference/failoverd.toml.example
	@$(BIN)/python -m failoverd.daemon.dbusreference > docs/reference/dbus.md
	@$(BIN)/python -m failoverd.config.manual > docs/man/failoverd.toml.5
	@$(BIN)/python -m failoverd.cli.manual > docs/man/failoverctl.8

clean: ## Remove what the other commands made in this folder
	rm -rf .venv build *.egg-info .coverage .hypothesis .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

setup:
	@tools/setup.sh

setup-guest:
	@tools/setup.sh guest
