//! The gateway's configuration file, shared by the operator that writes it and the gateway that reads it
