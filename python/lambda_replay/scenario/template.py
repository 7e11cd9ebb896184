"""The file that ``scenario init`` writes: what there is to say, with the defaults."""

from __future__ import annotations

from typing import Final

__all__ = ["TEMPLATE"]

TEMPLATE: Final = """\
# A scenario of lambda-replay: what a trace is replayed under. What stands behind a single # is
# left out, and has the value shown unless it says otherwise; remove the # to change it.
#   lambda-replay scenario check FILE             what is wrong, and what is worth a second look
#   lambda-replay scenario show FILE --resolved   every value in force, and where it is from
#   lambda-replay scenario schema                 the JSON Schema, for editors

[account]
# The account's limit. AWS's default; new accounts start lower (10 and 50 were seen). Look it up:
#   aws lambda get-account-settings --query AccountLimit.ConcurrentExecutions
concurrency = 1000
# Preset of every dated rule: 2017-12, 2018-10, 2019-12, 2020-12, 2023-11, 2025-08.
era = "2025-08"
#requests_per_second = 10000      # 10 x concurrency; "off": no request-rate limit at any level

# How fast environments may be added; scaling = "off" in [account]: at any rate.
#[account.scaling]
#capacity = 1000
#refill_per_s = 100

# When idle environments go: AWS does not say. halving: every 380 s half of them.
#[account.idle]
#policy = "halving"               # halving, fixed, uniform, none
#seconds = 380

[defaults]
# For every function that does not say otherwise.
memory_mb = 128
architecture = "x86_64"           # or arm64
timeout_s = "off"                 # durations are taken as observed; AWS's default would be 3
# What a cold start adds where the trace has no init_ms: please measure yours.
init_ms = 250
#maximum_event_age_s = 21600      # asynchronous events
#maximum_retry_attempts = 2
#client_retry = "none"            # or botocore_legacy, botocore_standard_2026, step_functions, …

# A function by its name, or by a glob such as "img-*"; the most specific wins.
#[functions.checkout]
#memory_mb = 1024
#reserved_concurrency = 100       # its own units, and its limit
#provisioned_concurrency = 20     # kept READY; by qualifier: provisioned_concurrency.live = 20

# An event source: rows whose column source has its name are its records.
#[event_sources.orders]
#type = "kinesis"                 # kinesis, dynamodb, sqs, sqs_fifo, kafka
#function = "checkout"            # its batches invoke it
#shards = 4                       # or partitions; 1 where it is not given
#batch_size = 100
#maximum_retry_attempts = 2       # -1: no limit, until the record is too old
#base_ms = 0                      # a batch takes base_ms and the sum of its records' duration_ms

# Configuration that changes while the trace runs.
#[[changes]]
#at = 2026-03-01T12:00:00Z
#set = { "functions.checkout.reserved_concurrency" = 200 }

# What goes wrong, when: slow, init, error or throttle.
#[[faults]]
#at = 2026-03-01T12:00:00Z
#for_s = 600
#function = "checkout"
#slow = 3.0

# The same work through another door: an event source, sync or async.
#[[routes]]
#function = "checkout"
#source = "orders"
#key = "state_key"                # the column that becomes its key

# What a run does when another has its state_key: lock, optimistic, append.
#[state]
#discipline = "lock"

[replay]
seed = 0                          # the same seed, trace and scenario give the same bytes
"""
