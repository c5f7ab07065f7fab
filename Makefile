# failoverd's commands; `make` alone lists them. All of them set up what they need first.
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help demo demo-cni demo-fleet demo-guest test test-guest-more test-guest-matrix test-uml lint fuzz bench bench-guest bench-netns bench-storm bench-links bench-ctl bench-interfaces bench-inventory bench-start bench-cni bench-renames bench-events
.PHONY: chaos deb docs clean setup setup-guest

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-19s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## Take a VF away and back under traffic, on this kernel and beside its own devices, and draw what was seen
	@$(BIN)/failoverd-lab demo

demo-fleet: setup ## Declare links between three machines in a real etcd, and see there that one of them has failed over
	@$(BIN)/python tools/demo_fleet.py

demo-guest: setup-guest ## The same in a real guest, which is live-migrated, too
	@$(BIN)/failoverd-lab demo --in vm

demo-cni: setup ## Give two pods links on a failover master, by the CNI plugin and the daemon, and draw their wiring
	@$(BIN)/python tests/cni/demo.py

test: setup ## Pass the tests: lint, rooms, unit, histories, simulated, netns, contract, packaging, guest, stories. TIERS="lint unit" picks some, TIERS=quick is for after each change
	@$(BIN)/python tools/tiers.py $(TIERS)

test-guest-more: setup-guest ## The tests in guests that `make test` leaves out: the other Debian release, the other datapaths
	@$(BIN)/python tools/tiers.py more

test-uml: setup ## Pods' VLANs and the failover master in a pod, in User Mode Linux (Debian: user-mode-linux)
	@$(BIN)/python tools/tiers.py uml

test-guest-matrix: setup-guest ## Every neighbour in the guest, on every release, at every stop of a pair's life (docs/neighbours.md)
	@$(BIN)/python tools/tiers.py matrix

chaos: setup ## Tell N=1000 random histories full of faults in the simulated kernel, on all cores, and judge them
	@$(BIN)/failoverd-lab chaos --runs $(or $(N),1000) --first $(or $(SEED),0)

lint: setup ## Style, types and floors only
	@$(BIN)/python tools/tiers.py lint

SECONDS := 60
fuzz: setup ## Fuzz all that reads what others send, guided by coverage, on two cores, SECONDS=60 for each harness
	@tools/setup.sh fuzz
	@$(BIN)/python tests/fuzz/guided.py --seconds $(SECONDS)

bench: setup ## Measure all rows that this machine can, beside what they are compared with, into bench/results.json. ROWS="start step" picks some
	@$(BIN)/python bench/all.py $(ROWS)

bench-guest: setup-guest ## Measure failoverd, net_failover and a bare bond in the same guest
	@$(BIN)/python bench/guest.py

bench-netns: setup ## Measure the tc datapath on this kernel, in namespaces
	@$(BIN)/python bench/netns.py

bench-storm: setup-guest ## Measure a failover while 300 pairs of veths are made, by a bond and by tc, beside a quiet machine
	@$(BIN)/python bench/storm.py

bench-links: setup ## Measure the CPU and memory that 1,000 pairs of veths cost the daemon where 3,500 links are
	@$(BIN)/python bench/links.py

bench-ctl: setup ## Measure how long failoverctl takes, beside ip and nmcli
	@$(BIN)/python bench/ctl.py

bench-interfaces: setup ## Measure failoverctl interfaces and interface-xml with 300, 1,000 and 5,000 links, beside ip
	@$(BIN)/python bench/interfaces.py

bench-inventory: setup ## Measure the inventory while devices and routes come and go, how long the loop waits beside four clients, and how soon a change is told
	@$(BIN)/python bench/inventoryload.py
	@$(BIN)/python bench/freshness.py

bench-cni: setup ## Measure how long failoverd-cni takes, beside an empty Python and the plugins in Go, and for thirty pods at once
	@$(BIN)/python bench/cni.py
	@$(BIN)/python bench/cnipods.py

bench-start: setup ## Measure how long failoverd takes from its start to READY, beside the import of trio
	@$(BIN)/python bench/start.py

deb: ## Build the Debian packages into build/, for Debian 12 and later
	@tools/setup.sh deb
	@tools/deb.sh

bench-events: setup-guest ## Let 200 random real events happen to a guest under traffic, and tell the silence of each
	@$(BIN)/python bench/events.py

bench-renames: setup-guest ## Rename slaves that are up 500 times under traffic, and let udev lose 50 races
	@$(BIN)/python bench/renames.py

docs: setup ## Write the reference pages that are made from the code
	@$(BIN)/python tools/docs/write.py

clean: ## Remove what the other commands made in this folder
	rm -rf .venv build *.egg-info lab/build lab/*.egg-info cni/build cni/*.egg-info etcd/build etcd/*.egg-info .coverage .hypothesis .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

setup:
	@tools/setup.sh

setup-guest:
	@tools/setup.sh guest
