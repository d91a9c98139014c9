# What an operator types. `make` alone lists it. Every verb takes PROJECT=… to address another stack, the demo's for one:
#   make status PROJECT=salespider-demo
SHELL := /bin/bash
.DEFAULT_GOAL := help

PROJECT ?= salespider
# The deployment reads .env, any other stack config/<its name>.env.
ENV_FILE ?= $(if $(filter salespider,$(PROJECT)),.env,config/$(PROJECT).env)
CONFIG_VOLUME ?= $(if $(filter salespider,$(PROJECT)),pgbackrest-config,$(PROJECT)-pgbackrest-config)
# Compose writes the project's name into an image, so another stack must not build under the deployment's tag.
IMAGE_TAG ?= $(if $(filter salespider,$(PROJECT)),latest,$(PROJECT))
export PROJECT CONFIG_VOLUME IMAGE_TAG FROM_KIT KEY KIT_PASSWORD_FILE
export ENV_FILE := $(abspath $(ENV_FILE))
export COMPOSE_PROJECT_NAME := $(PROJECT)
export COMPOSE_ENV_FILES := $(wildcard $(ENV_FILE))

COMPOSE := docker compose
IN_BACKUP := scripts/in-backup

.PHONY: deploy start stop restart status logs password psql config-check config config-regenerate recovery-kit
.PHONY: recovery-kit-verify backup backup-diff backup-incr backup-info backup-check storage-check schedule
.PHONY: backup-history retention adopt stanza-upgrade repo-add repo-retire notify-test wal-status wal-emergency
.PHONY: wal-resume emergency-dump restore-latest restore-backup restore-pitr restore-plan restore-point restore-undo
.PHONY: restore-status restore-cleanup peek peek-psql peek-export peek-close demo demo-down test test-long e2e integration
.PHONY: check help

## Running it

deploy: ## install what is missing, build, start, and wait for the first backup; FROM_KIT=… on an empty host
	@scripts/deploy

start: ## start what was stopped
	@$(COMPOSE) up -d

stop: ## stop everything, in order; the data stays
	@$(COMPOSE) stop

restart: ## restart the database and the supervisor
	@$(COMPOSE) restart postgres backup

status: ## containers, database, archiver, disks, window, last and next backups, alarms
	@$(COMPOSE) ps --all --format 'table {{.Name}}\t{{.Status}}'; echo; $(IN_BACKUP) status

logs: ## follow the log of all containers
	@$(COMPOSE) logs --follow --tail=100

password: ## print the superuser's password
	@docker exec $(PROJECT)-postgres cat /etc/pgbackrest/postgresql/superuser-password

psql: ## open a psql session as the superuser
	@docker exec -it $(PROJECT)-postgres sh -c 'exec psql -U "$$POSTGRES_USER" -d "$$POSTGRES_DB"'

config-check: ## check .env, and show what it would change; changes nothing
	@scripts/config check

config: ## show the configuration that is live, without the secrets
	@scripts/config show

config-regenerate: ## throw the generated configuration away and write it again; passphrase and data stay
	@scripts/config-regenerate

recovery-kit: ## write one sealed file that, with the repository, is enough to restore on an empty host
	@scripts/recovery-kit make "$(FILE)"

recovery-kit-verify: ## prove that a recovery kit opens the live repositories: FILE=…
	@scripts/recovery-kit verify "$(FILE)"

## Backups

backup: ## take a full backup now
	@$(IN_BACKUP) backup --type=full

backup-diff: ## take a differential backup now
	@$(IN_BACKUP) backup --type=diff

backup-incr: ## take an incremental backup now
	@$(IN_BACKUP) backup --type=incr

backup-info: ## list the backups
	@$(IN_BACKUP) info

backup-check: ## prove that backups work, and say what was proven
	@$(IN_BACKUP) check

storage-check: ## try each repository step by step: name, TLS, keys, list, write, read back, delete, speed; REPO=2
	@$(IN_BACKUP) storage-check $(if $(REPO),--repo=$(REPO))

schedule: ## the next ten runs, in local time and UTC
	@$(IN_BACKUP) schedule

backup-history: ## list the latest runs: how they ended, durations, sizes, rates
	@$(IN_BACKUP) history

retention: ## show what the next expire would remove, and the window that remains
	@$(IN_BACKUP) retention

adopt: ## back up the running database although the backups are of another one; CONFIRM=yes does it
	@$(IN_BACKUP) adopt $(if $(filter yes,$(CONFIRM)),--i-know)

stanza-upgrade: ## go on after pg_upgrade: back up the new major version from now on
	@$(IN_BACKUP) stanza-upgrade
repo-add: ## take a new repository into use, and say when it is enough alone: REPO=2; CONFIRM=yes ends the alarm of a loss
	@$(IN_BACKUP) repo-add $(REPO) $(if $(filter yes,$(CONFIRM)),--i-know)

repo-retire: ## the plan to give a repository up: what remains without it, what to change in .env: REPO=1
	@$(IN_BACKUP) repo-retire $(REPO) $(if $(filter yes,$(CONFIRM)),--i-know)

notify-test: ## send a test notice to every receiver now, and show what each answers
	@$(IN_BACKUP) notify-test
wal-status: ## how much WAL waits, how fast it is written, and how long the disks last
	@$(IN_BACKUP) wal-status

wal-emergency: ## give up WAL that cannot be archived before the disk is full: DUMP=no DIR=… OVERRIDE=yes CONFIRM=yes
	@scripts/wal-emergency

wal-resume: ## end the WAL emergency: archiving again, and a full backup at once
	@$(IN_BACKUP) wal-resume

emergency-dump: ## dump the database into ./emergency-backup, or another directory: DIR=…
	@scripts/emergency-dump

## Restoring (CONFIRM=yes skips the question; REPO=2, TIMELINE=3 choose; IN_PLACE=yes overwrites instead of keeping)

restore-latest: ## bring back the latest state
	@scripts/restore latest

restore-backup: ## bring back one backup: BACKUP_SET=20240101-120000F
	@scripts/restore backup "$(BACKUP_SET)"

restore-pitr: ## bring back a moment: TARGET="2024-01-01 12:00:00"; TARGET_TYPE=xid, lsn or name; EXCLUSIVE=yes
	@scripts/restore pitr "$(TARGET)"

restore-undo: ## bring back the database that the last restore has replaced
	@scripts/restore undo

restore-status: ## a restore that was cut off, the databases that are kept, and the last restore
	@scripts/restore status

restore-cleanup: ## remove databases that restores have replaced, when a backup since is good and their days are over
	@scripts/restore cleanup

restore-plan: ## what a restore would do, or why it cannot be; changes nothing: TARGET=… or BACKUP_SET=…, or the latest state
	@scripts/restore plan "$(TARGET)"

restore-point: ## name this moment, so that a restore can end exactly here: NAME=before-release
	@$(IN_BACKUP) restore-point "$(NAME)"

## Looking at the database as it was, while the live one goes on

peek: ## open a read-only copy of a moment: TARGET="2024-01-01 12:00:00"; or BACKUP_SET=…; or the end of the archive; REPO=2
	@scripts/peek open "$(TARGET)" "$(BACKUP_SET)"

peek-psql: ## look into it; one statement: SQL="SELECT …"
	@scripts/peek psql $(if $(value SQL),"$$SQL")

peek-export: ## take a table out of it, as a file that the live database can load: TABLE=public.sale FILE=…
	@scripts/peek export "$$TABLE" "$$FILE"

peek-close: ## end it, and remove all of it
	@scripts/peek close

## Trying it and working on it

demo: ## a stack of its own: data, backups, a dropped table, and its return
	@scripts/demo

demo-down: ## remove the demo's stack and all its data
	@scripts/demo down

test: ## all tests but the long runs: about half an hour on two cores
	@scripts/test all

test-long: ## the long runs: hundreds of kills and restores
	@scripts/test long

e2e: ## the scenarios on real containers, or one: SCENARIO=restore-pitr
	@scripts/test e2e $(SCENARIO)

integration: ## the tests that run inside the image, with real pgbackrest and PostgreSQL
	@scripts/test integration

check: ## format, lint, types, unit and consistency tests: what to run before a commit
	@scripts/test check

help: ## this list
	@awk 'BEGIN { FS = ":.*## " } /^## / { print "\n" substr($$0, 4) } /^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
