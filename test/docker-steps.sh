#!/usr/bin/env bash
# Runs the steps of the Dockerfile without a container engine, then starts what came out of them. The image itself is not built:
# - each stage is a folder; COPY and WORKDIR act in it, and the build context holds only what .dockerignore lets through;
# - RUN uses this machine's shell, npm and the project's Node 24 in place of the base image's;
# - CMD and HEALTHCHECK run in a chroot with nothing but node, its libraries and the last stage, as the Dockerfile's USER,
#   on a read-only root with /data writable. That needs root; without it this part is skipped and said so.
set -euo pipefail
cd "$(dirname "$0")/.."
top=$(mktemp -d "${TMPDIR:-/tmp}/lotse-docker-XXXXXX")
pid=
finish() {
  [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
  [ -z "$pid" ] || wait "$pid" 2>/dev/null || true
  rm -rf "$top"
}
trap finish EXIT

node=$(readlink -f node_modules/.bin/node)
mkdir -p "$top/bin" "$top/context"
ln -s "$node" "$top/bin/node"
export PATH="$top/bin:$PATH"
node -e 'process.exit(process.versions.node.startsWith("24.") ? 0 : 1)' || { echo "docker-steps: needs npm ci first"; exit 1; }

# The build context: the first line of .dockerignore excludes all, `!name` lets through, other names are taken out again.
[ "$(grep -v '^#' .dockerignore | head -n 1)" = '*' ] || { echo "docker-steps: .dockerignore must begin with *"; exit 1; }
while read -r name; do cp -r "./$name" "$top/context/"; done < <(sed -n 's/^!//p' .dockerignore)
while read -r name; do rm -rf "${top:?}/context/$name"; done < <(grep -v '^[#!*]' .dockerignore)

stage='' dir=/ user='' cmd='' health=''
environment=()
absolute() { case $1 in /*) echo "$1" ;; *) echo "${dir%/}/${1#./}" ;; esac; }
copy() {
  local from="$top/context" words=() target
  for word in "$@"; do
    case $word in
      --from=*) from="$top/${word#--from=}" ;;
      --*) echo "docker-steps: COPY $word is unknown" && exit 1 ;;
      *) words+=("$word") ;;
    esac
  done
  local last="${words[-1]}"
  unset 'words[-1]'
  target="$top/$stage$(absolute "$last")"
  case $last in */) mkdir -p "$target" ;; esac
  for word in "${words[@]}"; do
    if [ -d "$from/$word" ]; then mkdir -p "$target" && cp -r "$from/$word/." "$target/"; else cp "$from/$word" "$target"; fi
  done
}
while read -r step rest; do
  case $step in
    '' | '#'*) continue ;;
    FROM) stage="${rest##* AS }" dir=/ user='' cmd='' health='' environment=() && mkdir -p "$top/$stage/tmp" ;;
    WORKDIR) dir=$(absolute "$rest") && mkdir -p "$top/$stage$dir" ;;
    ENV) environment+=("$rest") ;;
    COPY) copy $rest ;;
    RUN) echo "[$stage] $rest" && (cd "$top/$stage$dir" && env "${environment[@]}" sh -ec "$rest") ;;
    USER) user=$rest ;;
    CMD) cmd=$rest ;;
    HEALTHCHECK) health="${rest#* CMD }" ;;
    EXPOSE) ;;
    *) echo "docker-steps: the step $step is unknown" && exit 1 ;;
  esac
done <Dockerfile
echo "docker-steps: built $(du -sh "$top/$stage" | cut -f 1) of $stage"

if [ "$(id -u)" != 0 ]; then echo 'docker-steps: the steps ran; not started: chroot needs root'; exit 0; fi

# node and its libraries, as the base image has them.
image="$top/$stage"
mkdir -p "$image/usr/local/bin" "$image/config" "$image/data"
cp "$node" "$image/usr/local/bin/node"
ldd "$node" | grep -o '/[^ ]*' | while read -r library; do cp --parents -L "$library" "$image"; done
chown -R root:root "$image" && chmod -R go-w "$image" && chmod 755 "$top" "$image"
chown "$user" "$image/data"
cat >"$image/config/gateway.yaml" <<'YAML'
issuer: http://127.0.0.1:18080
listen: { port: 18080 }
operations: { port: 19090 }
store: { kind: embedded, path: /data/lotse.db }
keys: { dir: /data/keys, create: true }
connectors: []
targets: []
rules: []
YAML
environment+=(LOTSE_READY=http://127.0.0.1:19090/readyz)

# The root is bound onto itself read-only in a mount namespace of its own, where the machine allows that.
inside='mount --bind "$0" "$0" && mount --bind "$0/data" "$0/data" && mount -o remount,bind,ro "$0" && exec "$@"'
wrap=()
if unshare --mount sh -c "$inside" "$image" true 2>/dev/null; then wrap=(unshare --mount sh -c "$inside" "$image")
else echo 'docker-steps: no mount namespace here: the root is not writable by its owner alone'; fi
# Takes a JSON array of words, as CMD has them; replaces the shell that calls it.
contained() {
  exec "${wrap[@]}" chroot --userspec="$user" "$image" /usr/local/bin/node -e '
    const [dir, words, ...environment] = process.argv.slice(1)
    process.chdir(dir)
    const env = Object.fromEntries(environment.map((entry) => entry.split(/=(.*)/s, 2)))
    process.execve(process.execPath, JSON.parse(words), env)' "$dir" "$1" "${environment[@]}"
}

(contained '["node", "-e", "try { fs.writeFileSync(\"/app/x\", \"\"); process.exit(1) } catch { process.exit(process.getuid() === 0 ? 1 : 0) }"]') ||
  { echo 'docker-steps: the root can be written, or the user is root'; exit 1; }
(contained '["node", "/app/dist/main.js", "version"]')
if ! (contained '["node", "/app/dist/main.js", "--help"]') | grep -q '^  serve '; then
  echo 'docker-steps: started as far as it goes: there is no serve yet'; exit 0
fi
(contained "$cmd") >"$top/log" 2>&1 &
pid=$!
for try in $(seq 100); do
  if (contained "$health"); then
    echo "docker-steps: ready at try $try as user $user on a read-only root"
    kill "$pid" && wait "$pid"
    pid=
    echo 'docker-steps: stopped with 0'
    exit 0
  fi
  kill -0 "$pid" 2>/dev/null || break
  sleep 0.2
done
echo 'docker-steps: not ready'
tail -n 50 "$top/log"
exit 1
