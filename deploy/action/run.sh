#!/usr/bin/env bash
# Runs one command of slm in a CI job. What is only to be told (changes, what is held or was not seen) is no failure of the job.
set -euo pipefail

slm=$SLM_BINARY
if [ -n "$SLM_URL" ]; then
  [ -n "$SLM_SHA256" ] || { echo "::error::\`url\` is given without \`sha256\`; nothing is fetched that nobody vouches for"; exit 1; }
  slm=$RUNNER_TEMP/slm
  curl --fail --silent --show-error --location --proto '=https' --output "$slm" "$SLM_URL"
  echo "$SLM_SHA256  $slm" | sha256sum --check --quiet || { rm -f "$slm"; echo "::error::what \`url\` gave is not what \`sha256\` names"; exit 1; }
  chmod +x "$slm"
fi

# The locker is pushed as the job: git asks this for the token, and no address and no argument holds it.
if [ -n "${GITHUB_TOKEN:-}" ]; then
  export GIT_ASKPASS="$RUNNER_TEMP/slm-askpass" SLM_GIT_TOKEN="$GITHUB_TOKEN" SLM_GIT_ENV="SLM_GIT_TOKEN"
  printf '%s\n' '#!/bin/sh' 'case $1 in Username*) echo x-access-token ;; *) printf "%s\n" "$SLM_GIT_TOKEN" ;; esac' > "$GIT_ASKPASS"
  chmod 700 "$GIT_ASKPASS"
fi

ended() { # CODE ACCEPTED...
  local code=$1 fine
  shift
  for fine in "$@"; do [ "$code" = "$fine" ] && return 0; done
  exit "$code"
}

code=0
case $SLM_COMMAND in
  plan)
    "$slm" ci plan --environment "$SLM_ENVIRONMENT" || code=$?
    ended "$code" 0 2 3 5
    ;;
  comment)
    "$slm" ci comment --environment "$SLM_ENVIRONMENT" --artefact "$SLM_ARTEFACT" || code=$?
    ended "$code" 0
    ;;
  apply)
    "$slm" ci apply --environment "$SLM_ENVIRONMENT" || code=$?
    # What a guard holds waits for its time; what nobody approved is somebody's to do.
    if [ "$code" = 5 ] && grep -qx 'applied=true' "$GITHUB_OUTPUT"; then code=0; fi
    ended "$code" 0 2 3
    ;;
  drift)
    # Goes on with what was begun, begins nothing, and records what was seen.
    "$slm" resume || code=$?
    echo "exit-code=$code" >> "$GITHUB_OUTPUT"
    ended "$code" 0 2 3 5
    code=0
    # An issue for each thing that only a person can do, and the plan as the summary.
    "$slm" ci issues --environment "$SLM_ENVIRONMENT" || code=$?
    ended "$code" 0 2 3
    ;;
  *)
    echo "::error::there is no command \`$SLM_COMMAND\`; there are \`plan\`, \`apply\`, \`comment\` and \`drift\`"
    exit 1
    ;;
esac
