//! The ChatCluster WebSocket gateway
