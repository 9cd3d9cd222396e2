# shellcheck shell=sh
#
# Reference client of Ticketgate: api_token, signatures, sealed tokens, URLs. For any POSIX shell, with openssl.
#
#     . ./ticketgate.sh
#     TICKETGATE_CLIENT_ID=ios TICKETGATE_CLIENT_SECRET=… TICKETGATE_ZONE=Asia/Shanghai
#     curl -d username=lilei -d password=… "$(ticketgate_url 'https://api.example/index.php?mod=user&ctl=auth&act=login' user/auth/login)"
#     TICKETGATE_USER_ID=7 TICKETGATE_USER_TOKEN=$(ticketgate_open_token v1.…)
#     curl "$(ticketgate_url 'https://api.example/index.php?mod=user&ctl=info&act=get' user/info/get)"
#
# An endpoint is `module/controller/action`, each as it is sent. URLs must be escaped already: they are signed as they are.
#
# openssl takes keys as arguments, which other users of the same computer can see in its list of processes.

# What the client is; a user is logged in while TICKETGATE_USER_TOKEN is set.
: "${TICKETGATE_CLIENT_ID=}" "${TICKETGATE_CLIENT_SECRET=}"
: "${TICKETGATE_USER_ID=}" "${TICKETGATE_USER_TOKEN=}"
: "${TICKETGATE_ZONE=UTC}"      # the gate's time.zone
: "${TICKETGATE_ALGORITHM=md5}" # of api_token: md5 or hmac-sha256

# Every function runs in a subshell, so that its variables are its own.

# URL ENDPOINT: the URL with the credentials for a call of the endpoint.
ticketgate_url() (
  token=$(ticketgate_api_token "$2") || exit
  set -- "$1" "client_id=$(ticketgate__escape "$TICKETGATE_CLIENT_ID")&api_token=$token"
  if [ -n "$TICKETGATE_USER_TOKEN" ]; then
    user=$(ticketgate__escape "$TICKETGATE_USER_ID")
    set -- "$1" "$2&user_id=$user&user_token=$(ticketgate__escape "$TICKETGATE_USER_TOKEN")"
  fi
  ticketgate__with "$1" "$2"
)

# METHOD URL ENDPOINT [BODY|@FILE [ALGORITHM]]: the same, signed by hmac-sha256 or md5. The body is what will be sent, byte by byte.
ticketgate_signed_url() (
  timestamp=$(date +%s)
  nonce=$(openssl rand -hex 16)
  url=$(ticketgate_url "$2" "$3") || exit
  url=$(ticketgate__with "$url" "timestamp=$timestamp&nonce=$nonce")
  target=/$(printf %s "$url" | sed 's|^[A-Za-z]*://[^/?]*||; s|^/||')
  path=${target%%\?*} query=${target#*\?}
  if [ "${5-hmac-sha256}" = md5 ]; then
    sign=$(ticketgate_sign_md5 "$path" "$query" "$timestamp" "${TICKETGATE_USER_TOKEN:-$(ticketgate_api_token "$3")}")
  else
    sign=$(ticketgate_sign "$1" "$path" "$query" "$timestamp" "$nonce" "$TICKETGATE_USER_TOKEN" "${4-}")
  fi
  ticketgate__with "$url" "sign=$sign"
)

# ENDPOINT [DATE]: its api_token, for a date of the gate's zone, today's where none is given.
ticketgate_api_token() (
  case $1 in
    */*/*/*) bad=1 ;;
    */*/*) bad= ;;
    *) bad=1 ;;
  esac
  if [ -n "$bad" ]; then
    echo "an endpoint is module/controller/action, not $1" >&2
    exit 2
  fi
  module=${1%%/*} action=${1##*/} controller=${1#*/}
  controller=${controller%%/*}
  date=${2-$(TZ=$TICKETGATE_ZONE date +%Y-%m-%d)}
  if [ "$TICKETGATE_ALGORITHM" = hmac-sha256 ]; then
    printf '%s\n%s\n%s\n%s' "$module" "$controller" "$action" "$date" | ticketgate__hmac "$(ticketgate__secret)"
  else
    printf %s "$module$controller$action$date$TICKETGATE_CLIENT_SECRET" | openssl dgst -md5 -r | cut -c1-32
  fi
)

# METHOD PATH QUERY TIMESTAMP NONCE USER_TOKEN BODY|@FILE: the signature by HMAC-SHA256. USER_TOKEN is empty where no user is logged in.
ticketgate_sign() (
  case $7 in
    @*) body=$(openssl dgst -sha256 -r <"${7#@}") || exit ;;
    *) body=$(printf %s "$7" | openssl dgst -sha256 -r) ;;
  esac
  query=$(ticketgate__unsigned "$3" | LC_ALL=C sort | paste -s -d '&' -)
  printf '%s\n%s\n%s\n%s\n%s\n%s\n%s' "$1" "$2" "$query" "$4" "$5" "$6" "$(printf %s "$body" | cut -c1-64)" |
    ticketgate__hmac "$(ticketgate__secret)"
)

# PATH QUERY TIMESTAMP TOKEN: the signature by the old recipe. TOKEN is user_token, or api_token where no user is logged in.
ticketgate_sign_md5() (
  query=$(ticketgate__unsigned "$2" | paste -s -d '&' -)
  printf %s "$1${query:+?$query}$3$4$TICKETGATE_CLIENT_SECRET" | openssl dgst -md5 -r | cut -c1-32
)

# SEALED: opens a sealed user_token. `openssl enc` knows no GCM, so this decrypts by its counter mode and does not check the tag: a
# token of another secret is noticed, because it would not be text; one that was changed on purpose only by the gate, which refuses it.
ticketgate_open_token() (
  LC_ALL=C
  export LC_ALL
  text=$(printf %s "${1#v1.}" | tr '_-' '/+')
  while [ $((${#text} % 4)) != 0 ]; do text=$text=; done
  bytes=$(printf %s "$text" | openssl base64 -d -A | ticketgate__hex)
  length=$((${#bytes} / 2 - 28)) # without nonce and tag
  if [ "${1#v1.}" = "$1" ] || [ "$length" -lt 1 ]; then
    echo 'this is no sealed token' >&2
    exit 1
  fi
  # HKDF-SHA256 (RFC 5869) without salt, one block.
  extracted=$(printf %s "$TICKETGATE_CLIENT_SECRET" | ticketgate__hmac "$(printf '%064d' 0)")
  key=$(printf 'ticketgate user_token\001' | ticketgate__hmac "$extracted")
  counter=$(printf %s "$bytes" | cut -c1-24)00000002
  token=$(printf %s "$text" | openssl base64 -d -A | dd bs=1 skip=12 count="$length" 2>/dev/null |
    openssl enc -d -aes-256-ctr -K "$key" -iv "$counter" | tr -cd '!-~')
  if [ "${#token}" != "$length" ]; then
    echo 'the token was sealed under another secret, or changed' >&2
    exit 1
  fi
  printf '%s\n' "$token"
)

# HEX-KEY: HMAC-SHA256 of stdin.
ticketgate__hmac() { openssl dgst -sha256 -mac HMAC -macopt "hexkey:$1" -r | cut -c1-64; }

ticketgate__secret() { printf %s "$TICKETGATE_CLIENT_SECRET" | ticketgate__hex; }

ticketgate__hex() { od -An -v -tx1 | tr -d ' \n'; }

# URL PARAMETERS: adds them; a fragment is never sent.
ticketgate__with() (
  url=${1%%#*}
  case $url in
    *\?*) printf '%s&%s\n' "$url" "$2" ;;
    *) printf '%s?%s\n' "$url" "$2" ;;
  esac
)

ticketgate__escape() (
  LC_ALL=C
  case $1 in
    *[!A-Za-z0-9._~-]*) printf %s "$1" | ticketgate__hex | sed 's/../%&/g' ;;
    *) printf %s "$1" ;;
  esac
)

# QUERY: its pairs, one a line, without the signature itself.
ticketgate__unsigned() {
  if [ -n "$1" ]; then printf '%s\n' "$1" | tr '&' '\n' | sed -e '/^sign$/d' -e '/^sign=/d'; fi
}
