#!/bin/sh
# Give each private key to the one process that needs it, and nobody else: run after `checkvalve keys new`, as root.
# The folder around the keys, the configuration in it and state/ get the modes that install.sh gives them, whatever
# root's umask was where they were made or copied, and where a whole folder of `checkvalve init` was moved here.
set -eu
keys=${1:-/var/lib/checkvalve/keys}
give() {
    [ ! -e "$1" ] || { chown "$2":checkvalve "$1"; chmod 0600 "$1"; echo "$1 is $2's"; }
}
chown root:checkvalve "$keys"; chmod 0750 "$keys"
# every folder of keys, since there are two of them while keys are replaced; whose a key is stands in it
for folder in "$keys"/*/; do
    [ ! -d "$folder" ] || { chown root:checkvalve "$folder"; chmod 0750 "$folder"; }
done
for file in "$keys"/*/*.key; do
    [ -e "$file" ] || continue
    read -r label kind rest < "$file" || true
    case $label/$kind in
        checkvalve-key-v1/sign) give "$file" checkvalve-poll ;;
        checkvalve-key-v1/link-sign) give "$file" checkvalve-emit ;;
        checkvalve-key-v1/catch) give "$file" checkvalve-catch ;;
        checkvalve-key-v1/open|checkvalve-key-v1/recovery) give "$file" checkvalve-publish ;;
        *) echo "$file holds no key of Checkvalve, and stays as it is" >&2 ;;
    esac
done
for file in "$keys"/*.pub "$keys"/*/*.pub; do
    [ ! -e "$file" ] || { chown root:checkvalve "$file"; chmod 0644 "$file"; }
done

# A side's own folder: root's, and the services read it. A folder of keys elsewhere has no configuration beside it.
home=$(dirname "$keys")
for file in sender.toml receiver.toml; do
    [ -f "$home/$file" ] && [ ! -L "$home/$file" ] || continue
    chown root:checkvalve "$home" "$home/$file"; chmod 0750 "$home"; chmod 0640 "$home/$file"
    if [ ! -e "$home/state" ]; then
        case $file in
            sender.toml) store=checkvalve-poll first=spool ;;
            *) store=checkvalve-catch first=journal ;;
        esac
        mkdir "$home/state" "$home/state/$first"
        chown root:checkvalve "$home/state"; chmod 2770 "$home/state"
        chown "$store":checkvalve "$home/state/$first"; chmod 2750 "$home/state/$first"
    fi
done
