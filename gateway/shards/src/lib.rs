//! Slots, schema and guarded functions of the database shards
