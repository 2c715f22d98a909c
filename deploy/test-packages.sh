#!/bin/sh
# Install the Debian packages of test-packages.txt that are missing, where this user may; elsewhere the tests skip and say why.
set -u
cd "$(dirname "$0")"
command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || exit 0
[ "$(id -u)" = 0 ] || exit 0
missing=
for package in $(sed -e 's/#.*//' -e '/^$/d' test-packages.txt | awk '{print $1}'); do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
echo "installing for the tests:$missing"
apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null || echo "could not install; some tests will skip"
exit 0
