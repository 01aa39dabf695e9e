//! What each program tells of its own process; the names are those of Prometheus' client libraries.

use super::Family;

/// All of them.
pub const FAMILIES: &[Family] = &[
    Family::counter("process_cpu_seconds_total", &[], "Seconds of processors that the process used"),
    Family::gauge("process_max_fds", &[], "Files and sockets that the process may have open"),
    Family::gauge("process_open_fds", &[], "Files and sockets that the process has open"),
    Family::gauge("process_resident_memory_bytes", &[], "Bytes of memory that the process has"),
    Family::gauge("process_start_time_seconds", &[], "When the process started, in seconds since 1970"),
    Family::gauge("process_threads", &[], "Threads of the process"),
    Family::gauge("process_virtual_memory_bytes", &[], "Bytes of addresses that the process has"),
];
