# Sourced by scripts/peer and scripts/gpu-compile, which set `name` (their own) and `root` (a folder):
# a newer release of the distribution as a system in that folder. Nothing of this machine changes.
# shellcheck shell=sh disable=SC2154  # name and root
suite=forky

cannot() {
  echo "$name: $1" >&2
  exit 69
}

# The address that this machine's own apt uses for its distribution.
mirror() {
  # shellcheck disable=SC2016  # apt's own variable
  apt-get indextargets --format '$(REPO_URI)' | grep -v -e security -e '^file:' -e '^copy:' | head -n 1
}

# install_system PACKAGE..: makes the system, or adds the packages to it.
install_system() {
  [ "$(id -u)" = 0 ] || cannot "install needs root"
  if [ ! -e "$root/.complete" ]; then
    command -v debootstrap >/dev/null || cannot "the package debootstrap is missing"
    from=$(mirror)
    [ -n "$from" ] || cannot "no address in this machine's apt sources"
    # An older debootstrap does not know the release by its name; all are made like sid.
    script=
    [ -e "/usr/share/debootstrap/scripts/$suite" ] || script=/usr/share/debootstrap/scripts/sid
    mkdir -p "$root"
    # shellcheck disable=SC2086
    debootstrap --variant=minbase --merged-usr --include=ca-certificates "$suite" "$root" "$from" $script >&2 ||
      cannot "debootstrap failed, see $root/debootstrap/debootstrap.log"
    touch "$root/.complete"
  fi
  apt-config dump | grep -i '^Acquire::https\?::Proxy' >"$root/etc/apt/apt.conf.d/90proxy" || true
  # A mirror that is a copy may be older than its lists say.
  cat >"$root/etc/apt/apt.conf.d/91peer" <<EOF
Acquire::Check-Valid-Until "false";
APT::Install-Recommends "false";
EOF
  for file in resolv.conf hosts; do
    [ ! -e "/etc/$file" ] || cp -L "/etc/$file" "$root/etc/$file"
  done
  inside sh -c 'apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y "$@"' sh "$@" >&2 ||
    cannot "the packages cannot be installed in $root"
}

# Runs a command in the system, with folders of this machine in it: the repository ($here), the current
# one and those in PEER_BIND. The mounts are seen by nobody else and end with the command.
inside() {
  [ "$(id -u)" = 0 ] || cannot "running in $root needs root"
  # shellcheck disable=SC2016  # for the shells inside
  PEER_INSIDE=$root PEER_FOLDERS="$here $PWD ${PEER_BIND:-}" \
    unshare --mount --propagation private sh -eu -c '
      for system in proc dev sys; do mount --rbind /$system "$PEER_INSIDE/$system"; done
      for folder in $PEER_FOLDERS; do
        mkdir -p "$PEER_INSIDE$folder"
        mount --bind "$folder" "$PEER_INSIDE$folder"
      done
      folder=$PWD
      exec chroot "$PEER_INSIDE" sh -c "cd \"\$0\" && exec \"\$@\"" "$folder" "$@"' sh "$@"
}

# The libraries of a program of ours that the system lacks, in its folder /opt/lent.
lend_libraries() {
  mkdir -p "$root/opt/lent"
  ldd "$1" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | while IFS= read -r library; do
    file=$(basename "$library")
    [ -n "$(find "$root/usr/lib" -maxdepth 2 -name "$file")" ] || cp -Lu "$library" "$root/opt/lent/$file"
  done
}
