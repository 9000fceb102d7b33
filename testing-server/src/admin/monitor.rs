//! `mntr`: everything that can be counted, one number a line.

use super::stats::Latency;
use super::text::mean;
use super::words::VERSION;
use crate::node::Node;
use crate::tree::watches::Modes;

impl Node {
    /// The answer to `mntr`.
    pub(super) fn monitor(&self) -> String {
        let mut lines = Lines::default();
        self.put_gauges(&mut lines);
        self.put_counters(&mut lines);
        for name in COUNTERS {
            lines.put(name, 0);
        }
        for name in SUMMARIES {
            lines.summary(name, &Latency::NONE);
        }
        for name in DISTRIBUTIONS {
            lines.distribution(name, &Latency::NONE);
        }
        lines.distribution("readlatency", &self.stats.reads);
        lines.distribution("updatelatency", &self.stats.updates);
        lines.0
    }

    fn put_gauges(&self, lines: &mut Lines) {
        let latency = self.stats.latency();
        let ephemerals: usize =
            self.tree.ephemerals().sessions().map(|id| self.tree.ephemerals().of(id).count()).sum();
        lines.put("version", VERSION);
        lines.put("server_state", "standalone");
        lines.put("ephemerals_count", ephemerals);
        lines.put("num_alive_connections", self.connections.len());
        lines.put("avg_latency", mean(latency.mean_ms()));
        lines.put("outstanding_requests", self.gate.len());
        lines.put("znode_count", self.tree.len() + 1);
        lines.put("global_sessions", self.sessions.iter().count());
        lines.put("local_sessions", 0);
        lines.put("non_mtls_remote_conn_count", 0);
        lines.put("non_mtls_local_conn_count", 0);
        let sizes = [self.sent.last, self.sent.longest, self.sent.shortest];
        let [last, max, min] = match self.sent.bytes {
            0 => [-1; 3],
            _ => sizes.map(|size| i64::try_from(size).unwrap_or(i64::MAX)),
        };
        lines.put("last_client_response_size", last);
        lines.put("max_client_response_size", max);
        lines.put("min_client_response_size", min);
        lines.put("packets_sent", self.sent.frames);
        lines.put("packets_received", self.stats.received);
        lines.put("connection_drop_probability", "0.0");
        lines.put("watch_count", self.watch_count());
        lines.put("auth_failed_count", self.stats.auth_failed);
        lines.put("min_latency", latency.min_ms());
        lines.put("max_latency", latency.max_ms);
        // What only a shell could know; Apache tells -1 too where it cannot.
        lines.put("open_file_descriptor_count", -1);
        lines.put("max_file_descriptor_count", -1);
        lines.put("approximate_data_size", self.tree.data_size());
        lines.put("uptime", self.now.since(self.started).as_millis());
        lines.put("outstanding_tls_handshake", 0);
    }

    fn put_counters(&self, lines: &mut Lines) {
        let stats = &self.stats;
        lines.put("bytes_received_count", stats.bytes_received);
        lines.put("response_bytes", self.sent.bytes);
        lines.put("connection_request_count", stats.handshakes);
        lines.put("connection_revalidate_count", stats.revalidated);
        lines.put("connection_drop_count", stats.dropped);
        lines.put("connection_rejected", stats.rejected);
        lines.put("sessionless_connections_expired", stats.sessionless);
        lines.put("stale_sessions_expired", stats.expired);
        lines.put("throttled_ops", stats.throttled);
        lines.put("large_requests_rejected", stats.large);
        lines.put("digest_mismatches_count", stats.digest_mismatches);
    }

    /// A watch that stands in both of Apache's tables counts twice.
    fn watch_count(&self) -> usize {
        let tables = |modes: Modes| {
            usize::from(modes.intersects(Modes::DATA_TABLE))
                + usize::from(modes.intersects(Modes::CHILD_TABLE))
        };
        self.watches.iter().map(|(_, _, modes)| tables(modes)).sum()
    }
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn put(&mut self, name: &str, value: impl std::fmt::Display) {
        self.0 += &format!("zk_{name}\t{value}\n");
    }

    fn summary(&mut self, name: &str, latency: &Latency) {
        self.put(&format!("avg_{name}"), mean(latency.mean_ms()));
        self.put(&format!("min_{name}"), latency.min_ms());
        self.put(&format!("max_{name}"), latency.max_ms);
        self.put(&format!("cnt_{name}"), latency.count());
        self.put(&format!("sum_{name}"), latency.total_ms());
    }

    /// Quantiles are not counted, for they would cost every request something; the mean stands in
    /// for those below it, the maximum for those above.
    fn distribution(&mut self, name: &str, latency: &Latency) {
        self.summary(name, latency);
        self.put(&format!("p50_{name}"), latency.whole_mean_ms());
        for quantile in ["p95", "p99", "p999"] {
            self.put(&format!("{quantile}_{name}"), latency.max_ms);
        }
    }
}

/// Counters that nothing in a standalone server of ours can move; Apache tells every one.
const COUNTERS: [&str; 40] = [
    "add_dead_watcher_stall_time",
    "cnxn_closed_without_zk_server_running",
    "commit_count",
    "dead_watchers_cleared",
    "dead_watchers_queued",
    "diff_count",
    "ensemble_auth_fail",
    "ensemble_auth_skip",
    "ensemble_auth_success",
    "insecure_admin_count",
    "learner_commit_received_count",
    "learner_proposal_received_count",
    "looking_count",
    "outstanding_changes_queued",
    "outstanding_changes_removed",
    "prep_processor_request_queued",
    "proposal_count",
    "quit_leading_due_to_disloyal_voter",
    "request_commit_queued",
    "request_throttle_wait_count",
    "requests_not_forwarded_to_commit_processor",
    "response_packet_cache_hits",
    "response_packet_cache_misses",
    "response_packet_get_children_cache_hits",
    "response_packet_get_children_cache_misses",
    "restore_error_count",
    "restore_rate_limited_count",
    "revalidate_count",
    "skip_learner_request_to_next_processor_count",
    "snap_count",
    "snapshot_error_count",
    "snapshot_rate_limited_count",
    "stale_replies",
    "stale_requests",
    "stale_requests_dropped",
    "sync_processor_request_queued",
    "tls_handshake_exceeded",
    "unrecoverable_error_count",
    "unsuccessful_handshake",
    "watch_bytes",
];

/// Means of the same kind.
const SUMMARIES: [&str; 42] = [
    "commit_commit_proc_req_queued",
    "commit_process_time",
    "concurrent_request_processing_in_commit_processor",
    "connection_token_deficit",
    "dbinittime",
    "election_time",
    "follower_sync_time",
    "fsynctime",
    "inflight_diff_count",
    "inflight_snap_count",
    "leader_unavailable_time",
    "learner_request_processor_queue_size",
    "netty_queued_buffer_capacity",
    "node_changed_watch_count",
    "node_children_watch_count",
    "node_created_watch_count",
    "node_deleted_watch_count",
    "observer_sync_time",
    "pending_session_queue_size",
    "prep_process_time",
    "prep_processor_queue_size",
    "proposal_process_time",
    "read_commit_proc_issued",
    "read_commit_proc_req_queued",
    "reads_after_write_in_session_queue",
    "reads_issued_from_session_queue",
    "requests_in_session_queue",
    "restore_time",
    "session_queues_drained",
    "snapshottime",
    "socket_closing_time",
    "startup_snap_load_time",
    "startup_txns_load_time",
    "startup_txns_loaded",
    "sync_process_time",
    "sync_processor_batch_size",
    "sync_processor_queue_size",
    "time_waiting_empty_pool_in_commit_processor_read_ms",
    "unavailable_time",
    "write_batch_time_in_commit_processor",
    "write_commit_proc_issued",
    "write_commit_proc_req_queued",
];

/// Distributions of the same kind.
const DISTRIBUTIONS: [&str; 21] = [
    "close_session_prep_time",
    "commit_propagation_latency",
    "dead_watchers_cleaner_latency",
    "jvm_pause_time_ms",
    "local_write_committed_time_ms",
    "om_commit_process_time_ms",
    "om_proposal_process_time_ms",
    "prep_processor_queue_time_ms",
    "propagation_latency",
    "proposal_ack_creation_latency",
    "proposal_latency",
    "quorum_ack_latency",
    "read_commitproc_time_ms",
    "read_final_proc_time_ms",
    "request_throttle_queue_time_ms",
    "server_write_committed_time_ms",
    "sync_processor_queue_and_flush_time_ms",
    "sync_processor_queue_flush_time_ms",
    "sync_processor_queue_time_ms",
    "write_commitproc_time_ms",
    "write_final_proc_time_ms",
];
