#!/bin/sh
# Install this side of Checkvalve from the files beside this script: no network, nothing compiled, nothing but what
# requirements.lock names.
#
#   sh install.sh [--prefix DIR] [--python PROGRAM] [--files-only] [--config FILE]
#   sh install.sh --back [--prefix DIR] [--files-only]
#
# --files-only: the program alone, into DIR; no users, no folders in /var, no units. Without it: root.
#
#   DIR            a link to the present program, which is put in the place of the one before in one step
#   DIR.builds/    0.1.0-1, 0.1.0-2 ..: the new one is made and tried here while the old one runs
#   DIR.builds/previous    a link to the one before: --back makes it the present one again
set -eu
umask 022   # what is installed is read by users who are not root, whatever the one who installs keeps to himself

stop() { echo "install.sh: $1" >&2; [ -z "${2:-}" ] || echo "next step: $2" >&2; exit 2; }
told() { sed -n "s/^$1=//p" TARGET; }

prefix=/opt/checkvalve python='' system=yes back=no config=''
while [ $# -gt 0 ]; do
    case $1 in
        --prefix) prefix=${2:?--prefix takes a folder}; shift ;;
        --python) python=${2:?--python takes a program}; shift ;;
        --files-only) system=no ;;
        --config) config=${2:?--config takes a file}; shift ;;
        --back) back=yes ;;
        *) stop "no option is called $1" "sh install.sh [--prefix DIR] [--python PROGRAM] [--files-only] [--back]" ;;
    esac
    shift
done
case $prefix in /*) ;; *) prefix=$PWD/$prefix ;; esac
case $config in /*|'') ;; *) config=$PWD/$config ;; esac
builds=$prefix.builds
if [ $back = yes ]; then
    [ -e "$builds/previous/share/TARGET" ] || stop "there is no program from before in $builds" "install the bundle of the older version"
    cd "$builds/previous/share"
else
    cd "$(dirname "$0")"
fi
[ -f TARGET ] || stop "TARGET is not beside this script" "unpack the whole archive"
side=$(told side)
case $side in
    high) users="checkvalve-poll checkvalve-emit" store=checkvalve-poll first=spool room=sender verb=send file=sender.toml ;;
    low) users="checkvalve-catch checkvalve-publish" store=checkvalve-catch first=journal room=receiver verb=receive file=receiver.toml ;;
    *) stop "TARGET names no side" "unpack the archive again" ;;
esac
[ $system = no ] || config=${config:-/var/lib/checkvalve/$file}
[ $system = no ] || [ "$prefix" = /opt/checkvalve ] ||
    stop "the units start /opt/checkvalve/bin/python" "leave --prefix out, or mend systemd/ by hand"

# Whether a program runs, and takes the configuration that the present one takes; what it says goes to stderr.
fit() {
    "$1/bin/python" -P -m checkvalve --version >/dev/null || { echo "install.sh: the program in $1 does not run" >&2; return 1; }
    [ -n "$config" ] && [ -e "$config" ] || return 0
    if "$1/bin/python" -P -m checkvalve $verb "$config" --check >/dev/null 2>"$scratch/said"; then return 0; fi
    if [ -e "$prefix/bin/python" ] && "$prefix/bin/python" -P -m checkvalve $verb "$config" --check >/dev/null 2>&1; then
        cat "$scratch/said" >&2
        echo "install.sh: the program in $1 refuses $config, which the present one takes" >&2
        return 1
    fi
    echo "install.sh: $config is not right yet: checkvalve $verb $config --check" >&2
}

# The present program becomes `previous`, and another one takes its place: one rename, between a stop and a start.
switch() {
    runs=no
    if [ $system = yes ] && command -v systemctl >/dev/null && systemctl is-active --quiet "checkvalve-$side.target"; then
        runs=yes
        systemctl stop "checkvalve-$side.target"
    fi
    if [ -L "$prefix" ]; then
        ln -sfn "$(basename "$(readlink "$prefix")")" "$builds/previous"
    elif [ -e "$prefix" ]; then   # of an installer that emptied the folder
        rm -rf "$builds/before"
        mv "$prefix" "$builds/before"
        ln -sfn before "$builds/previous"
    fi
    ln -sfn "$(basename "$builds")/$1" "$prefix.new"
    mv -T "$prefix.new" "$prefix"
    if [ $system = yes ]; then
        install -m 0644 "$prefix"/share/systemd/* /etc/systemd/system/
        ln -sf "$prefix/bin/checkvalve" /usr/local/bin/checkvalve
        complete checkvalve.bash /usr/share/bash-completion/completions checkvalve
        complete _checkvalve /usr/share/zsh/vendor-completions
        complete checkvalve.fish /usr/share/fish/vendor_completions.d
        [ ! -d /run/systemd/system ] || systemctl daemon-reload || echo "systemd was not told: systemctl daemon-reload"
    fi
    if [ $runs = yes ]; then
        systemctl start "checkvalve-$side.target" 9>&-   # nothing that runs on holds the lock
        for unit in $users; do
            systemctl is-active --quiet "$unit.service" ||
                stop "$unit does not run" "journalctl -u $unit; or go back: sh $prefix/share/install.sh --back"
        done
    fi
}
complete() {   # where this machine's shells look
    [ ! -d "$2" ] || [ ! -e "$prefix/share/completion/$1" ] || install -m 0644 "$prefix/share/completion/$1" "$2/${3:-$1}"
}

# One at a time beside a program, as long as this shell lives.
alone() {
    mkdir -p "$builds"
    chmod 0755 "$builds"
    exec 9>"$builds/.lock"
    ! command -v flock >/dev/null || flock -n 9 ||
        stop "another install.sh is at work in $builds" "wait for its end, then begin again"
}
# What was made and is not the present program goes, at whatever moment this ends.
tidy() {
    rm -rf "$scratch"
    [ -n "$made" ] || return 0
    [ "$(readlink "$prefix")" = "$(basename "$builds")/$(basename "$made")" ] || rm -rf "$made"
}
scratch=$(mktemp -d)
made=''
trap tidy EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [ $back = yes ]; then
    [ $system = no ] || [ "$(id -u)" = 0 ] || stop "this needs root" "sudo sh install.sh --back"
    alone
    old=$(readlink "$builds/previous")
    fit "$builds/$old" || stop "nothing was changed" "mend what is said above, or install the bundle of another version"
    switch "$old"
    echo "back to $("$prefix/bin/python" -P -m checkvalve --version) in $builds/$old; --back again goes forward"
    exit 0
fi

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

# the program, in a folder of its own
if [ -e "$prefix" ] && [ -n "$(ls -A "$prefix")" ] && [ ! -f "$prefix/share/TARGET" ]; then
    stop "$prefix holds something else" "name another folder with --prefix"
fi
alone
number=1
while [ -e "$builds/$(told version)-$number" ]; do number=$((number + 1)); done
name=$(told version)-$number
made=$builds/$name
"$python" -m venv --without-pip "$made"
# PIP_CONFIG_FILE and --isolated: no setting of this machine adds another place to take files from
PIP_CONFIG_FILE=/dev/null PYTHONPATH=$(ls "$PWD"/bootstrap/pip-*.whl) \
    "$made/bin/python" -m pip --isolated install --quiet --no-index --no-deps \
    --disable-pip-version-check --no-warn-script-location --only-binary :all: --require-hashes \
    --find-links wheels --requirement requirements.lock
mkdir "$made/share"
cp -R TARGET SHA256SUMS requirements.lock sbom.cdx.json vex licences docs examples systemd nftables sysctl completion bootstrap install.sh "$made/share/"
[ ! -f add-collector.sh ] || install -m 0755 add-collector.sh "$made/bin/checkvalve-add-collector"
install -m 0755 own-keys.sh "$made/bin/checkvalve-own-keys"
chmod -R u=rwX,go=rX "$made"   # and whatever modes the archive was unpacked with
if [ -d "$prefix/share/collectors" ]; then   # what was added to the version before
    "$made/bin/checkvalve-add-collector" "$prefix"/share/collectors/*.whl ||
        stop "a collector that was added to the version before does not fit; nothing was changed" \
            "take it out of $prefix/share/collectors, and add one that fits afterwards"
fi
fit "$made" || stop "nothing was changed: the version before is still the present one" "mend what is said above, and begin again"

if [ $system = yes ]; then
# users and folders
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
[ -e "/var/lib/checkvalve/$file" ] ||
    install -m 0640 -o root -g checkvalve "$made"/lib/python*/site-packages/$room/commands/empty.toml "/var/lib/checkvalve/$file"
fi

fresh=yes
[ ! -e "$prefix" ] || fresh=no
switch "$name"
for one in "$builds"/*/; do   # the present one and the one before it stay
    one=$(basename "$one")
    case $one in previous|"$name"|"$(readlink "$builds/previous" || true)") ;; *) rm -rf "${builds:?}/$one" ;; esac
done
echo "installed $("$prefix/bin/python" -P -m checkvalve --version) in $prefix"
if [ $fresh = no ]; then
    echo "the version before is kept: sh $prefix/share/install.sh --back"
fi
[ $system = yes ] && [ $fresh = yes ] || exit 0
cat <<END
next, as docs/install.md says step by step:
  checkvalve init $side /root/$side: configuration, keys and a sheet to print; copy it to /var/lib/checkvalve
  $prefix/bin/checkvalve-own-keys; edit /etc/checkvalve/link.env
  systemctl enable --now checkvalve-$side.target
END
