#!/bin/sh
# Give each private key to the one process that needs it, and nobody else: run after `checkvalve keys new`, as root.
set -eu
keys=${1:-/var/lib/checkvalve/keys}
give() {
    [ ! -e "$1" ] || { chown "$2":checkvalve "$1"; chmod 0600 "$1"; echo "$1 is $2's"; }
}
chown root:checkvalve "$keys"; chmod 0750 "$keys"
for folder in "$keys"/high "$keys"/low; do
    [ ! -d "$folder" ] || { chown root:checkvalve "$folder"; chmod 0750 "$folder"; }
done
give "$keys/high/sign.key" checkvalve-poll
give "$keys/high/link-sign.key" checkvalve-emit
give "$keys/low/catch.key" checkvalve-catch
give "$keys/low/open.key" checkvalve-publish
for file in "$keys"/*.pub "$keys"/*/*.pub; do
    [ ! -e "$file" ] || { chown root:checkvalve "$file"; chmod 0644 "$file"; }
done
