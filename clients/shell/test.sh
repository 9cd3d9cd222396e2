#!/bin/sh
# Proves the client by the published vectors, and by a gate where one is given:
#
#     sh test.sh ../../tests/vectors.json [http://127.0.0.1:8080]
#
# The vectors are read as they are printed: one `"name": value` a line.
# shellcheck disable=SC2031  # what the client changes in its subshells are variables of its own
set -eu
# shellcheck source=clients/shell/ticketgate.sh
. "$(dirname "$0")/ticketgate.sh"

same() { # EXPECTED FOUND OF
  [ "$1" = "$2" ] && return
  printf '%s\n  expected %s\n  found    %s\n' "$3" "$1" "$2" >&2
  exit 1
}

# Called at the end of each vector, with its fields in variables.
client_token() {
  TICKETGATE_CLIENT_SECRET=$client_secret
  for TICKETGATE_ALGORITHM in md5 hmac-sha256; do
    if [ "$TICKETGATE_ALGORITHM" = md5 ]; then expected=$md5; else expected=$hmac; fi
    same "$expected" "$(ticketgate_api_token "$module/$controller/$action" "$date")" "api_token $TICKETGATE_ALGORITHM"
  done
}

signature() {
  TICKETGATE_CLIENT_SECRET=$client_secret
  found=$(ticketgate_sign "$method" "$path" "$query" "$timestamp" "$nonce" "$user_token" "$body")
  same "$hmac" "$found" "signature hmac-sha256 of $nonce"
  same "$md5" "$(ticketgate_sign_md5 "$path" "$query" "$timestamp" "${user_token:-$api_token}")" "signature md5 of $nonce"
}

sealed_token() {
  TICKETGATE_CLIENT_SECRET=$client_secret
  same "$user_token" "$(ticketgate_open_token "$sealed")" 'a sealed token'
  if ticketgate_open_token "$user_token" 2>/dev/null; then same refused opened 'a plain token'; fi
  TICKETGATE_CLIENT_SECRET=other
  if ticketgate_open_token "$sealed" 2>/dev/null; then same refused opened 'a token of another secret'; fi
}

vectors() {
  section='' count=0
  while read -r name value; do
    value=${value%,}
    value=${value#\"}
    value=${value%\"}
    case $name in
      '"client_token":' | '"signature":' | '"sealed_token":') section=${name#\"} section=${section%\":} ;;
      ']' | '],') section= ;;
      '}' | '},') [ -z "$section" ] || { "$section" && count=$((count + 1)); } ;;
      '"module":') module=$value ;;
      '"controller":') controller=$value ;;
      '"action":') action=$value ;;
      '"date":') date=$value ;;
      '"client_secret":') client_secret=$value ;;
      '"md5":') md5=$value ;;
      '"hmac-sha256":') hmac=$value ;;
      '"method":') method=$value ;;
      '"path":') path=$value ;;
      '"query":') query=$value ;;
      '"timestamp":') timestamp=$value ;;
      '"nonce":') nonce=$value ;;
      '"user_token":') user_token=$value ;;
      '"api_token":') api_token=$value ;;
      '"body":') body=$value ;;
      '"sealed":') sealed=$value ;;
    esac
  done <"$1"
  [ "$count" -ge 12 ] || same 'at least 12' "$count" 'vectors that were found'
}

# Reply head and body in one text.
call() { curl -sS --noproxy '*' -i "$@"; }

field() { # NAME REPLY: a text of its JSON
  printf %s "$2" | sed -n "s/.*\"$1\":\"\\([^\"]*\\)\".*/\\1/p"
}

gate() {
  login="$1/index.php?mod=user&ctl=auth&act=login" info="$1/index.php?mod=user&ctl=info&act=get"
  TICKETGATE_CLIENT_ID=ios TICKETGATE_CLIENT_SECRET=s3cret TICKETGATE_ALGORITHM=md5
  for algorithm in hmac-sha256 md5; do
    form='username=lilei&password=lilei123'
    TICKETGATE_USER_TOKEN=
    reply=$(call --data-binary "$form" "$(ticketgate_signed_url POST "$login" user/auth/login "$form" $algorithm)")
    TICKETGATE_USER_ID=$(field user_id "$reply")
    TICKETGATE_USER_TOKEN=$(field user_token "$reply")
    same v1. "$(printf %s "$TICKETGATE_USER_TOKEN" | cut -c1-3)" 'a sealed login'

    reply=$(call "$(ticketgate_url "$info" user/info/get)")
    reason=$(printf %s "$reply" | tr -d '\r' | grep -i '^x-ticketgate-reason: ' | cut -d' ' -f2)
    same user_refused "$reason" 'a token sent as it was handed out'

    TICKETGATE_USER_TOKEN=$(ticketgate_open_token "$TICKETGATE_USER_TOKEN")
    for url in "$(ticketgate_url "$info" user/info/get)" "$(ticketgate_signed_url GET "$info" user/info/get '' $algorithm)"; do
      case $(call "$url") in
        *'"uid":7'*) ;;
        *) same '"uid":7' "$(call "$url")" 'a call with an opened token' ;;
      esac
    done
  done
}

vectors "$1"
[ $# -lt 2 ] || gate "$2"
echo ok
