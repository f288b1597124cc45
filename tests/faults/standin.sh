#!/bin/bash
# Plays one PBX for Nomad and the controller: acknowledges what the job's own templates write, as jobs/pbx/watcher does,
# and says how many calls it has, which the test writes into a file. It costs 4 MB and no processor.
# $1: a folder of the test's. There "calls-<job>" holds the number of channels; without it there is none.
set -u
case "$IMAGE" in *:broken) exit 1 ;; esac
trap '' HUP  # by which Nomad tells of a new certificate
[ "$#" -eq 1 ] || exec sleep infinity  # a lighthouse says nothing

leaving=
trap 'leaving=1' INT TERM  # it ends with its last call, as the watcher has Asterisk do

calls=$1/calls-$NOMAD_JOB_ID word=$NOMAD_ALLOC_DIR/data/pbx.json
plan=local/asterisk/extensions.conf peers=secrets/iax.conf
plan_hash= peers_hash= said=
exec {never}<> <(:)  # what is never written to: waiting on it needs no process

# SHA-256 of a file's text without the secrets before it, ended with one line feed
acknowledge() {
  local text
  text=$(sed '/^; secrets version /d; /-secret\](!)$/,+1d' "$1" | sed '/./,$!d')
  printf '%s\n' "$text" | sha256sum | cut -d ' ' -f 1
}

mkdir -p "${word%/*}"
while [ -d "$NOMAD_ALLOC_DIR" ]; do
  [ -n "$plan_hash" ] && [ ! "$plan" -nt plan.seen ] || { touch -r "$plan" plan.seen; plan_hash=$(acknowledge "$plan"); }
  [ -n "$peers_hash" ] && [ ! "$peers" -nt peers.seen ] || { touch -r "$peers" peers.seen; peers_hash=$(acknowledge "$peers"); }
  channels=0 status=idle
  [ ! -f "$calls" ] || read -r channels < "$calls"
  [ "${channels:=0}" = 0 ] || status=busy
  now="{\"status\": \"$status\", \"channels\": $channels, \"unacknowledged\": {}, \"acknowledged\": {\"extensions.conf\":
    {\"sha256\": \"$plan_hash\"}, \"iax.conf\": {\"sha256\": \"$peers_hash\"}}}"
  if [ "$now" != "$said" ]; then
    printf '%s\n' "$now" > "$word.new" && mv "$word.new" "$word" && said=$now
  fi
  [ -z "$leaving" ] || [ "$channels" != 0 ] || exit 0
  read -r -t 0.2 -u "$never" _
done
