//! The kinds that every server begins with: those that controllers commonly read and write.

use super::kind::Kind;

pub(super) fn all() -> Vec<Kind> {
    let core = |kind, plural| Kind::namespaced("", "v1", kind, plural).built_in();
    let named = |group, kind, plural| Kind::namespaced(group, "v1", kind, plural).built_in();
    let with_spec = |group, kind, plural| named(group, kind, plural).with_generation();
    let cluster = |group, kind, plural| Kind::cluster(group, "v1", kind, plural).built_in();
    let pod = [
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ]
    .into_iter()
    .fold(core("Pod", "pods").with_status().with_generation().returning_deleted(), Kind::selectable);
    let rbac = "rbac.authorization.k8s.io";
    vec![
        cluster("", "Namespace", "namespaces").with_status().selectable("status.phase"),
        cluster("", "Node", "nodes").with_status().selectable("spec.unschedulable"),
        pod,
        core("ConfigMap", "configmaps"),
        core("Secret", "secrets").selectable("type"),
        core("Service", "services").with_status().returning_deleted(),
        core("ServiceAccount", "serviceaccounts").returning_deleted(),
        core("Event", "events").selectable("involvedObject.name").selectable("reason").selectable("type"),
        core("Endpoints", "endpoints"),
        core("PersistentVolumeClaim", "persistentvolumeclaims").with_status().returning_deleted(),
        cluster("", "PersistentVolume", "persistentvolumes").with_status().returning_deleted(),
        with_spec("apps", "DaemonSet", "daemonsets").with_status(),
        with_spec("apps", "Deployment", "deployments").with_status(),
        with_spec("apps", "ReplicaSet", "replicasets").with_status().selectable("status.replicas"),
        with_spec("apps", "StatefulSet", "statefulsets").with_status(),
        with_spec("batch", "CronJob", "cronjobs").with_status(),
        with_spec("batch", "Job", "jobs").with_status().selectable("status.successful"),
        named("coordination.k8s.io", "Lease", "leases"),
        with_spec("discovery.k8s.io", "EndpointSlice", "endpointslices"),
        named("events.k8s.io", "Event", "events"),
        with_spec("networking.k8s.io", "Ingress", "ingresses").with_status(),
        with_spec("networking.k8s.io", "NetworkPolicy", "networkpolicies"),
        with_spec("policy", "PodDisruptionBudget", "poddisruptionbudgets").with_status(),
        cluster(rbac, "ClusterRole", "clusterroles"),
        cluster(rbac, "ClusterRoleBinding", "clusterrolebindings"),
        named(rbac, "Role", "roles"),
        named(rbac, "RoleBinding", "rolebindings"),
        cluster("storage.k8s.io", "StorageClass", "storageclasses").returning_deleted(),
        definitions(),
    ]
}

/// CustomResourceDefinition, whose objects add kinds.
pub(super) fn definitions() -> Kind {
    Kind::cluster("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions")
        .built_in()
        .with_status()
        .with_generation()
        .returning_deleted()
}
