#!/usr/bin/env bash
# Makes the sample trees again (node for node: searches are deterministic).
set -euo pipefail
cd "$(dirname "$0")"
rm -f ./*.trace.jsonl attempts/*
agentr search --env textcraft --task 2 --iterations 8 --error-rate 0.5 --out textcraft-many-pairs.trace.jsonl
agentr search --env textcraft --task 12 --iterations 6 --out textcraft-no-good-leaf.trace.jsonl
agentr search --env textcraft --task 55 --iterations 4 --samples 3 --max-depth 40 --error-rate 0.3 --out textcraft-deep.trace.jsonl
agentr search --env webshop --task 20 --seed 3 --iterations 5 --samples 3 --max-depth 8 --error-rate 0.5 --out webshop-synthetic.trace.jsonl
agentr search --env scienceworld --task find-plant:3 --iterations 5 --samples 3 --error-rate 0.5 --out scienceworld-find-plant.trace.jsonl
python -m sample_trees.make_attempts attempts
for task in 2 5 10; do
  agentr convert "attempts/textcraft-tools-$task.atif.jsonl" "textcraft-tools-$task-attempts.trace.jsonl"
done
