# shellcheck shell=sh
# Sourced by the checks here: tracked GLOB... names the repository's own files, one per line.
# Sources of an archive have no git: there every file outside build/ counts.
tracked() {
  if git -c safe.directory='*' rev-parse --git-dir >/dev/null 2>&1; then
    git -c safe.directory='*' ls-files -- "$@" | while IFS= read -r file; do
      [ -f "$file" ] && printf '%s\n' "$file"
    done
  else
    for glob in "$@"; do find . -path ./build -prune -o -type f -path "./$glob" -print; done | sed 's|^\./||'
  fi
}
