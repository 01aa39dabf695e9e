#!/bin/sh
# Starts HAProxy with a configuration of the operator's. Arguments go to haproxy, such as -f and a file.
set -eu

# The configuration finds gateways by names of the cluster's DNS. HAProxy knows no search domains and its servers are named by address, so both
# come from where the kubelet wrote them; what the environment says already stays.
if [ -z "${DNS_SERVER:-}" ] || [ -z "${DNS_DOMAIN:-}" ]; then
    while read -r word first _; do
        case $word in
        nameserver) found_server=${found_server:-$first:53} ;;
        search) found_domain=$first ;;
        esac
    done </etc/resolv.conf
    DNS_SERVER=${DNS_SERVER:-${found_server:?/etc/resolv.conf names no server}}
    DNS_DOMAIN=${DNS_DOMAIN:-${found_domain:?/etc/resolv.conf names no search domain}}
fi
LISTEN=${LISTEN:-*}
# More than four gain nothing before gateways, and each has memory of its own; more than there are processors only wait for each other.
if [ -z "${THREADS:-}" ]; then
    THREADS=$(nproc)
    [ "$THREADS" -le 4 ] || THREADS=4
fi
export DNS_SERVER DNS_DOMAIN LISTEN THREADS

# In the foreground as one process: SIGUSR1 reaches it, which closes its ports and lets connections go on.
exec haproxy -db "$@"
