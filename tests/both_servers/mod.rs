//! The cases that run on both servers: the in-process one and a real kube-apiserver.
//!
//! A case is an `async fn(&Ctx) -> Result<()>` and a line in [`all`]. It gets a namespace of its own, and
//! must stand what others leave in the rest of the cluster.

mod apply;
mod changes;
mod conformance;
mod controllers;
mod derived;
mod examples;
mod expired;
mod kinds;
mod limits;
mod lookups;
mod members;
mod metadata;
mod outages;
mod registry;
mod restored;
mod rights;
mod scopes;
mod selecting;
mod selectors;
mod server;
mod shards;
mod stats;
mod streams;
mod sync;
mod waiting;

use anyhow::Result;
use futures_util::future::LocalBoxFuture;

use crate::support::{envtest::Options, world::Ctx};

/// One case, by the name it is listed under.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: for<'a> fn(&'a Ctx) -> LocalBoxFuture<'a, Result<()>>,
    pub(crate) servers: Servers,
    /// `None`: the cluster that such cases share.
    pub(crate) own_cluster: Option<fn() -> Options>,
    /// It runs the examples, which are built before.
    pub(crate) examples: bool,
}

/// Where a case can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Servers {
    /// On the in-process server and on a real one.
    Both,
    /// Only where there are processes to kill, or what only kube-apiserver has.
    Real,
}

/// Makes a [`Case`] of the function of that path, named after it.
macro_rules! case {
    ($module:ident :: $function:ident) => {
        Case {
            name: stringify!($function),
            run: |ctx| Box::pin($module::$function(ctx)),
            servers: Servers::Both,
            own_cluster: None,
            examples: false,
        }
    };
}

// === impl Case ===

impl Case {
    /// Not for the in-process server.
    fn real_only(self) -> Self {
        Self { servers: Servers::Real, ..self }
    }

    /// On a real cluster of its own, with these options.
    fn on_own_cluster(self, options: fn() -> Options) -> Self {
        Self { own_cluster: Some(options), ..self }
    }

    /// On servers that know shards, a real one with its own cluster.
    fn with_shards(self) -> Self {
        self.on_own_cluster(|| Options { shards: true, ..Options::default() })
    }

    /// Whether its servers know shards.
    pub(crate) fn shards(&self) -> bool {
        self.own_cluster.is_some_and(|options| options().shards)
    }

    /// On a cluster of its own, which the examples see all of.
    fn runs_examples(self) -> Self {
        Self { examples: true, ..self.real_only().on_own_cluster(Options::default) }
    }
}

/// Every case, in the order they run in.
pub(crate) fn all() -> Vec<Case> {
    vec![
        case!(server::answers_its_version),
        case!(server::objects_are_created_listed_and_watched),
        case!(server::custom_resources_are_served),
        case!(server::rights_decide_what_a_user_may_do),
        case!(server::old_versions_expire_after_compaction),
        case!(server::a_default_client_works_too),
        case!(server::survives_a_killed_api_server).real_only().on_own_cluster(Options::default),
        case!(server::a_kubeconfig_is_all_a_program_needs).real_only(),
        case!(conformance::answers_are_as_recorded).real_only().with_shards(),
        case!(apply::an_apply_creates_then_merges),
        case!(apply::a_conflict_names_the_manager_and_the_field),
        case!(apply::an_update_takes_the_fields_it_changes),
        case!(apply::containers_and_their_environment_merge_by_name),
        case!(apply::a_status_is_applied_apart),
        case!(apply::an_apply_needs_a_manager),
        case!(apply::the_texts_of_a_secret_become_its_data),
        case!(apply::a_name_is_generated),
        case!(controllers::a_controller_keeps_its_owned_objects_right),
        case!(controllers::a_finalizer_is_added_before_anything_is_applied),
        case!(controllers::a_reconcile_begins_with_its_last_write),
        case!(derived::a_derived_value_has_ones_own_write),
        case!(derived::a_relist_computes_only_what_it_has_found),
        case!(sync::a_streaming_list_syncs_in_one_request),
        case!(sync::pages_sync_where_streaming_lists_are_refused),
        case!(sync::pages_sync_on_a_server_without_streaming_lists)
            .real_only()
            .on_own_cluster(sync::without_streaming_lists),
        case!(sync::an_empty_kind_syncs_too),
        case!(sync::kubes_own_retries_are_no_hindrance),
        case!(sync::managed_fields_are_dropped_unless_asked_for),
        case!(sync::dynamic_objects_know_their_type),
        case!(sync::text_is_decoded_with_its_type_however_it_comes),
        case!(metadata::metadata_alone_is_asked_for_and_indexed),
        case!(lookups::objects_are_found_by_key_and_by_index),
        case!(selectors::a_snapshot_selects_what_the_server_lists),
        case!(selecting::services_and_policies_that_select_a_pod_are_found),
        case!(lookups::an_index_comes_late_and_has_all_objects),
        case!(lookups::objects_leave_a_label_selector),
        case!(lookups::objects_leave_a_field_selector),
        case!(changes::each_kind_of_change_is_told),
        case!(changes::a_held_back_delete_is_seen_as_a_change_first),
        case!(changes::status_patches_are_changes),
        case!(changes::changes_missed_while_cut_off_are_told_later),
        case!(streams::kubes_watcher_feeds_an_informer),
        case!(changes::bookmarks_move_the_version_without_a_change),
        case!(waiting::own_writes_are_read_once_they_were_waited_for),
        case!(waiting::a_write_outside_the_selection_is_seen_at_a_bookmark),
        case!(waiting::a_consumer_that_holds_a_snapshot_loses_nothing_when_cancelled),
        case!(limits::an_object_beyond_the_limit_harms_only_itself),
        case!(limits::a_list_beyond_the_limits_is_an_error_that_says_so),
        case!(expired::a_relist_after_410_loses_nothing_and_shares_what_is_unchanged),
        case!(stats::stats_tell_of_a_sync_a_change_and_a_relist),
        case!(rights::without_rights_it_says_so_and_syncs_once_they_are_given),
        case!(rights::an_unknown_caller_is_told_so),
        case!(rights::with_the_right_to_list_alone_it_is_synced_and_stale),
        case!(scopes::overlapping_parts_cache_each_object_once),
        case!(scopes::a_forbidden_namespace_is_named_and_the_others_go_on),
        case!(scopes::a_namespace_is_empty_until_it_exists_and_after_it_is_deleted),
        case!(scopes::a_scope_changes_in_one_version_and_keeps_what_stays),
        case!(scopes::a_change_that_waits_is_replaced_by_the_next),
        case!(scopes::a_write_waits_for_its_own_namespace_only),
        case!(scopes::a_thousand_namespaces_are_one_cache),
        case!(shards::a_server_without_shards_is_filtered_here),
        case!(shards::each_object_is_in_one_shard_and_the_server_filters).with_shards(),
        case!(shards::an_upgrade_or_a_downgrade_changes_no_object).with_shards(),
        case!(shards::a_scope_moves_from_shard_to_shard).with_shards(),
        case!(shards::ten_thousand_uids_hash_as_the_server_hashes_them).real_only().with_shards(),
        case!(members::members_share_all_hashes_as_they_join_leave_and_are_killed),
        case!(members::a_member_without_rights_says_403_and_joins_once_it_has_them),
        case!(kinds::an_absent_kind_is_waited_for),
        case!(kinds::a_kind_that_goes_is_absent_until_it_comes_back).real_only(),
        case!(kinds::a_vanished_kind_is_given_up_where_that_was_asked_for),
        case!(kinds::an_unserved_version_keeps_its_state_whatever_was_asked_for).real_only(),
        case!(kinds::an_optional_kind_is_done_without_until_it_comes),
        case!(kinds::a_refresh_shows_what_changed_at_an_unchanged_version).real_only(),
        case!(kinds::an_invalid_object_harms_only_itself_and_heals),
        case!(kinds::a_kind_without_versions_is_polled).real_only(),
        case!(registry::shared_informers_sync_without_an_optional_kind_that_comes_later),
        case!(outages::a_killed_server_costs_neither_reads_nor_deletes)
            .real_only()
            .on_own_cluster(Options::default),
        case!(outages::a_server_that_comes_late_is_waited_for).real_only().on_own_cluster(Options::default),
        case!(restored::a_restored_etcd_begins_a_new_epoch).real_only().on_own_cluster(Options::default),
        case!(restored::a_version_too_large_is_followed_by_a_consistent_read)
            .real_only()
            .on_own_cluster(Options::default),
        case!(examples::the_subnet_controller_keeps_statuses_right).runs_examples(),
        case!(examples::the_subnet_controller_takes_nads_in_once_they_are_served).runs_examples(),
        case!(examples::the_subnet_controller_refuses_what_is_not_meant).runs_examples(),
        case!(examples::a_load_is_created_and_deleted_again).runs_examples(),
        case!(examples::the_quickstart_follows_a_cluster).runs_examples(),
        case!(examples::the_subnet_controller_serves_metrics_and_probes).runs_examples(),
        case!(examples::the_endpoints_follow_a_cluster).runs_examples(),
        case!(examples::the_inspector_shows_a_cluster).runs_examples(),
    ]
}
