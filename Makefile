# Two commands: `make run` sets everything up and starts the companion; `make test` sets everything up and runs every test.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/bevy_companion
# Outside the clone, so that a second clone on the same machine does not compile everything again.
export CARGO_TARGET_DIR ?= $(CACHE)/target
export CARGO_TERM_COLOR ?= auto

COMPANION := $(CARGO_TARGET_DIR)/debug/companion

# What is needed to build (sound), to open a window (X11), to draw without a GPU (Vulkan) and to fetch models from package sources.
PACKAGES := build-essential pkg-config libasound2-dev libx11-6 libx11-xcb1 libxkbcommon-x11-0 libxcursor1 libxi6 libxrandr2 \
            libvulkan1 mesa-vulkan-drivers python3-pip npm
TEST_PACKAGES := xvfb

.PHONY: help run test demo build setup setup-test models models-test lint bench clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: setup build models ## Set up, then talk to the companion (headless demonstration where there is no screen or sound)
	$(COMPANION)

test: setup-test build models-test ## Set up, then run every test
	cargo nextest run --locked --no-fail-fast
	cargo test --locked --doc
	$(COMPANION) test tests/dialogues

demo: setup build models ## The headless demonstration: a spoken question, answered aloud into out/
	$(COMPANION) demo

build: setup
	@echo "» building (the first time takes about twenty minutes on two cores, later ones seconds)"
	cargo build --locked --bins

models: build ## Fetch the starter models (about 1.2 GB, once)
	@echo "» fetching the starter models"
	$(COMPANION) models pull

models-test: build
	@echo "» fetching the starter and test models"
	$(COMPANION) models pull --tests

lint: setup ## Formatting, clippy and licences
	@command -v cargo-deny >/dev/null || { echo "» installing cargo-deny"; cargo install --locked cargo-deny; }
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo deny --config .ci/deny.toml check licenses bans sources

bench: build models ## Measure this machine: latency, speed, memory
	$(COMPANION) bench

clean: ## Delete what was built, keep the models
	cargo clean

# $(call install,PACKAGES): installs those of the Debian packages that are missing, and says so.
define install
	@command -v cargo >/dev/null || { echo "Rust is missing: install it with rustup (see rustup.rs), version 1.95 or newer"; exit 1; }
	@if ! command -v dpkg-query >/dev/null; then \
	  echo "» not a Debian system: if the build fails, install your system's equivalents of: $(1)"; \
	else \
	  missing=(); \
	  for package in $(1); do \
	    case $$package in \
	      npm) command -v npm >/dev/null && continue ;; \
	      python3-pip) { command -v pip || command -v pip3; } >/dev/null && continue ;; \
	    esac; \
	    [ "$$(dpkg-query -W -f='$${db:Status-Status}' $$package 2>/dev/null || true)" = installed ] || missing+=($$package); \
	  done; \
	  if [ $${#missing[@]} -gt 0 ]; then \
	    sudo=$$([ "$$(id -u)" = 0 ] || command -v sudo || { echo "» please install as root: $${missing[*]}" >&2; exit 1; }); \
	    echo "» installing system packages: $${missing[*]}"; \
	    $$sudo apt-get update -qq && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$${missing[@]}" >/dev/null; \
	  fi; \
	fi
endef

setup:
	$(call install,$(PACKAGES))

setup-test:
	$(call install,$(PACKAGES) $(TEST_PACKAGES))
	@command -v cargo-nextest >/dev/null || { echo "» installing cargo-nextest"; cargo install --locked cargo-nextest; }
