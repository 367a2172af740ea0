internal import PortTraceCore

/// Answers to the main loop's questions.
extension ContainerWorker {
    /// Looks among the processes for pods of network namespaces.
    ///
    /// - Parameter wanted: nil: all namespaces that are not known.
    func seek(_ wanted: Set<NamespaceIdentity>?) {
        if let wanted, wanted.isEmpty { return }
        hasAnswered = true
        // Many processes are of one pod.
        var pods: [[UInt8]: PodNamespaces.Pod] = [:]
        namespaces.seek(wanted, meanwhile: takeEvents) { owner in
            let id = ContainerID(owner.containerID)
            let record = id.flatMap { id in queue.withCache { $0.record(id) } }
            let uid = owner.podUID.isEmpty ? record?.podUID ?? [] : owner.podUID
            guard !uid.isEmpty else { return nil }
            let pod = pods[uid] ?? PodNamespaces.Pod(uid: uid, names: findPod(uid))
            pods[uid] = pod
            return pod
        }
    }

    func answer(_ question: ContainerQueue.Question) {
        hasAnswered = true
        if !find(question), armForAQuestion() { _ = find(question) }
    }

    /// - Returns: Whether the container's names are known now, or the pod's where that is the question.
    private func find(_ question: ContainerQueue.Question) -> Bool {
        let uid = question.podUID
        guard let id = question.id else { return findPod(uid) != nil }
        if !readAnywhere(id), isNamedByLogs(id), !pending.contains(id) { _ = findPod(uid) }
        guard var record = queue.withCache({ $0.record(id) }) else { return false }
        // The cgroup's UID is the kubelet's: what an old runtime does not say.
        if record.podUID.isEmpty, !uid.isEmpty {
            record.podUID = uid
            if !record.hasPod, let names = findPod(uid) {
                (record.namespace, record.pod) = (names.namespace, names.pod)
            }
            insert(id, record)
        }
        return true
    }

    private func findPod(_ uid: [UInt8]) -> PodNames? {
        guard !uid.isEmpty else { return nil }
        if let names = queue.withCache({ $0.pod(uid) }) { return names }
        let pods = folders.first { if case .pods = $0.role { $0.isThere } else { false } }
        guard let opened = pods?.opened(in: root), let pod = KubeletPodLogs.pod(uid, in: opened) else { return nil }
        insert(pod)
        return PodNames(namespace: pod.namespace, pod: pod.pod)
    }
}
