#!/bin/sh
# Starts RabbitMQ with the settings, the name, the cookie and the plugins that the operator of its cluster has put in place.
set -eu

# Replaces this script by the Erlang machine, which then gets the signals of the container itself. No busy waiting: an idle broker should cost no CPU.
export RUNNING_UNDER_SYSTEMD=1
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="${RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:-+sbwt none +sbwtdcpu none +sbwtdio none}"
exec /usr/lib/rabbitmq/bin/rabbitmq-server
