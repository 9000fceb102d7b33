//! `mntr`: everything that can be counted.

use super::figures::{Figures, Summary};
use super::stats::Latency;
use super::text::mean;
use super::words::version;
use crate::node::Node;
use crate::node::connection::{Connection, Wire};
use crate::tree::watches::Modes;

impl Node {
    /// The answer to `mntr`.
    pub(super) fn monitor(&self) -> String {
        self.figures().words()
    }

    /// Every figure there is.
    pub(crate) fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        self.put_gauges(&mut figures);
        self.put_counters(&mut figures);
        for name in COUNTERS {
            figures.counter(name, 0);
        }
        for name in SUMMARIES {
            figures.summary(name, Summary::Plain, &Latency::NONE);
        }
        for name in DISTRIBUTIONS {
            figures.summary(name, Summary::Distribution, &Latency::NONE);
        }
        figures.summary("readlatency", Summary::Distribution, &self.stats.reads);
        figures.summary("updatelatency", Summary::Distribution, &self.stats.updates);
        figures
    }

    fn put_gauges(&self, figures: &mut Figures) {
        let latency = self.stats.latency();
        let ephemerals: usize =
            self.tree.ephemerals().sessions().map(|id| self.tree.ephemerals().of(id).count()).sum();
        figures.text("version", version(self.settings.rules.release));
        figures.text("server_state", self.mode());
        figures.gauge("ephemerals_count", ephemerals);
        figures.gauge("num_alive_connections", self.connections.len());
        figures.gauge("avg_latency", mean(latency.mean_ms()));
        figures.gauge("outstanding_requests", self.gate.len() + self.lines.len());
        figures.gauge("znode_count", self.tree.len() + 1);
        let local = self.sessions.local_count();
        figures.gauge("global_sessions", self.sessions.iter().count() - local);
        figures.gauge("local_sessions", local);
        figures.gauge("non_mtls_remote_conn_count", 0);
        figures.gauge("non_mtls_local_conn_count", 0);
        let [last, max, min] = self.response_sizes();
        figures.gauge("last_client_response_size", last);
        figures.gauge("max_client_response_size", max);
        figures.gauge("min_client_response_size", min);
        figures.gauge("packets_sent", self.sent.frames);
        figures.gauge("packets_received", self.stats.received);
        figures.gauge("connection_drop_probability", "0.0");
        figures.gauge("watch_count", self.watch_count());
        figures.gauge("auth_failed_count", self.stats.auth_failed);
        figures.gauge("min_latency", latency.min_ms());
        figures.gauge("max_latency", latency.max_ms);
        // What only a shell could know; Apache tells -1 too where it cannot.
        figures.gauge("open_file_descriptor_count", -1);
        figures.gauge("max_file_descriptor_count", -1);
        figures.gauge("approximate_data_size", self.tree.data_size());
        figures.gauge("uptime", self.now.since(self.started).as_millis());
        let securing = |connection: &&Connection| connection.wire == Wire::Securing;
        let securing = self.connections.iter().filter(securing).count();
        figures.gauge("outstanding_tls_handshake", securing);
        if let Some(peer) = &self.peer {
            peer.put_figures(figures);
        }
    }

    /// How long the last, the longest and the shortest answer were; -1 before the first.
    pub(super) fn response_sizes(&self) -> [i64; 3] {
        let sizes = [self.sent.last, self.sent.longest, self.sent.shortest];
        match self.sent.bytes {
            0 => [-1; 3],
            _ => sizes.map(|size| i64::try_from(size).unwrap_or(i64::MAX)),
        }
    }

    fn put_counters(&self, figures: &mut Figures) {
        let stats = &self.stats;
        figures.counter("bytes_received_count", stats.bytes_received);
        figures.counter("response_bytes", self.sent.bytes);
        figures.counter("connection_request_count", stats.handshakes);
        figures.counter("connection_revalidate_count", stats.revalidated);
        figures.counter("connection_drop_count", stats.dropped);
        figures.counter("connection_rejected", stats.rejected);
        figures.counter("sessionless_connections_expired", stats.sessionless);
        figures.counter("stale_sessions_expired", stats.expired);
        figures.counter("throttled_ops", stats.throttled);
        figures.counter("large_requests_rejected", stats.large);
        figures.counter("digest_mismatches_count", stats.digest_mismatches);
        figures.counter("unsuccessful_handshake", stats.unsuccessful_handshakes);
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

/// Counters that nothing in a standalone server of ours can move; Apache tells every one.
const COUNTERS: &[&str] = &[
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
    "watch_bytes",
];

/// Means of the same kind.
const SUMMARIES: &[&str] = &[
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
const DISTRIBUTIONS: &[&str] = &[
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
