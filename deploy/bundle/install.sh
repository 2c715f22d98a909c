#!/bin/sh
# Install this side of Checkvalve from the files beside this script: no network, nothing compiled, nothing but what
# requirements.lock names.
#
#   sh install.sh [--prefix DIR] [--python PROGRAM] [--files-only]
#
# --files-only: the program alone, into DIR; no users, no folders in /var, no units. Without it: root.
set -eu
umask 022   # what is installed is read by users who are not root, whatever the one who installs keeps to himself

stop() { echo "install.sh: $1" >&2; [ -z "${2:-}" ] || echo "next step: $2" >&2; exit 2; }
told() { sed -n "s/^$1=//p" TARGET; }

prefix=/opt/checkvalve python='' system=yes
while [ $# -gt 0 ]; do
    case $1 in
        --prefix) prefix=${2:?--prefix takes a folder}; shift ;;
        --python) python=${2:?--python takes a program}; shift ;;
        --files-only) system=no ;;
        *) stop "no option is called $1" "sh install.sh [--prefix DIR] [--python PROGRAM] [--files-only]" ;;
    esac
    shift
done
case $prefix in /*) ;; *) prefix=$PWD/$prefix ;; esac
cd "$(dirname "$0")"
[ -f TARGET ] || stop "TARGET is not beside this script" "unpack the whole archive"
side=$(told side)

# the machine
[ "$(uname -s)" = "$(told system)" ] || stop "this bundle is for $(told system), this is $(uname -s)"
[ "$(uname -m)" = "$(told machine)" ] ||
    stop "this bundle is for $(told machine), this machine is $(uname -m)" "make bundle SIDE=$side on a machine of this kind"
[ $system = no ] || [ "$(id -u)" = 0 ] || stop "this needs root" "sudo sh install.sh, or --files-only --prefix DIR"

# Python
if [ -z "$python" ]; then
    python=$(command -v "python$(told python)" || command -v python3) || stop "there is no Python" "apt-get install python$(told python)"
fi
found=$("$python" -c 'import sys; print(sys.implementation.name, "%d.%d" % sys.version_info[:2])') || stop "$python does not run"
[ "$found" = "$(told implementation) $(told python)" ] ||
    stop "this bundle is for $(told implementation) $(told python), $python is $found" "name another with --python, or make the bundle with $python"

real=$(readlink -f "$(command -v "$python")")
case $system$real in yes/home/*|yes/root/*)
    stop "the units cannot see $real: they hide /home and /root" "name the system's Python with --python, such as /usr/bin/python$(told python)" ;;
esac

# the files
sha256sum --check --quiet --strict SHA256SUMS >&2 || stop "files are not the ones that SHA256SUMS names" "copy the archive again, and compare its hash"

# the program; the folder is emptied first, so that what an older version had is gone
if [ -e "$prefix" ] && [ -n "$(ls -A "$prefix")" ] && [ ! -f "$prefix/share/TARGET" ]; then
    stop "$prefix holds something else" "name another folder with --prefix"
fi
kept=$(mktemp -d)
trap 'rm -rf "$kept"' EXIT
[ ! -d "$prefix/share/collectors" ] || cp "$prefix"/share/collectors/*.whl "$kept"
rm -rf "$prefix"
"$python" -m venv --without-pip "$prefix"
# PIP_CONFIG_FILE and --isolated: no setting of this machine adds another place to take files from
PIP_CONFIG_FILE=/dev/null PYTHONPATH=$(ls "$PWD"/bootstrap/pip-*.whl) \
    "$prefix/bin/python" -m pip --isolated install --quiet --no-index --no-deps \
    --disable-pip-version-check --no-warn-script-location --only-binary :all: --require-hashes \
    --find-links wheels --requirement requirements.lock
mkdir "$prefix/share"
cp -R TARGET SHA256SUMS requirements.lock sbom.cdx.json licences docs examples systemd nftables sysctl completion bootstrap "$prefix/share/"
[ ! -f add-collector.sh ] || install -m 0755 add-collector.sh "$prefix/bin/checkvalve-add-collector"
chmod -R u=rwX,go=rX "$prefix"   # and whatever modes the archive was unpacked with
echo "installed $("$prefix/bin/python" -P -m checkvalve --version) in $prefix"
if [ -n "$(ls -A "$kept")" ]; then   # what was added to the version before
    "$prefix/bin/checkvalve-add-collector" "$kept"/*.whl || echo "the wheels are gone from $prefix: add them again by hand" >&2
fi
[ $system = yes ] || exit 0

# users, folders, units
[ "$prefix" = /opt/checkvalve ] || stop "the units start /opt/checkvalve/bin/python" "leave --prefix out, or mend systemd/ by hand"
case $side in
    high) users="checkvalve-poll checkvalve-emit" store=checkvalve-poll first=spool room=sender config=sender.toml ;;
    low) users="checkvalve-catch checkvalve-publish" store=checkvalve-catch first=journal room=receiver config=receiver.toml ;;
esac
getent group checkvalve >/dev/null || groupadd --system checkvalve
for user in $users; do
    getent passwd "$user" >/dev/null ||
        useradd --system --gid checkvalve --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$user"
done
install -d -m 0755 /etc/checkvalve
install -d -m 0750 -o root -g checkvalve /var/lib/checkvalve /var/lib/checkvalve/keys
install -d -m 2770 -o root -g checkvalve /var/lib/checkvalve/state
install -d -m 2750 -o "$store" -g checkvalve "/var/lib/checkvalve/state/$first"
install -d -m 0750 -o root -g checkvalve /var/lib/checkvalve/audit
[ -e /etc/checkvalve/link.env ] || install -m 0644 "link-$side.env" /etc/checkvalve/link.env
# no device is read and nothing is sent anywhere until somebody says so: the file that `checkvalve init` fills
[ -e "/var/lib/checkvalve/$config" ] ||
    install -m 0640 -o root -g checkvalve "$prefix"/lib/python*/site-packages/$room/commands/empty.toml "/var/lib/checkvalve/$config"
install -m 0755 own-keys.sh "$prefix/bin/checkvalve-own-keys"
install -m 0644 systemd/* /etc/systemd/system/
ln -sf "$prefix/bin/checkvalve" /usr/local/bin/checkvalve
complete() { [ ! -d "$2" ] || install -m 0644 "completion/$1" "$2/${3:-$1}"; }   # where this machine's shells look
complete checkvalve.bash /usr/share/bash-completion/completions checkvalve
complete _checkvalve /usr/share/zsh/vendor-completions
complete checkvalve.fish /usr/share/fish/vendor_completions.d
[ ! -d /run/systemd/system ] || systemctl daemon-reload || echo "systemd was not told: systemctl daemon-reload"
cat <<END
next, as docs/install.md says step by step:
  checkvalve init $side /root/$side: configuration, keys and a sheet to print; copy it to /var/lib/checkvalve
  $prefix/bin/checkvalve-own-keys; edit /etc/checkvalve/link.env
  systemctl enable --now checkvalve-$side.target
END
