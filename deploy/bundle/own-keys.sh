#!/bin/sh
# Give each private key to the one process that needs it, and nobody else: run after `checkvalve keys new`, as root.
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
