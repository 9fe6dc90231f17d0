# A real two-node Kubernetes on this machine (docs/testing-cluster.md). Needs root and Debian 12; Go 1.26 for what is not in the
# cache yet. KUBECONFIG=... make test-cluster runs the tests on another cluster instead.
bring_up := tests/cluster/bring_up

.PHONY: cluster-up cluster-down cluster-images test-cluster
cluster-up:
	$(bring_up)/up.sh

cluster-down:
	$(bring_up)/down.sh

cluster-images:
	$(bring_up)/image.sh build localhost/finetune-operator:test --target operator .
	$(bring_up)/image.sh build localhost/finetune-trainer:test --target trainer .

# TESTS names files or -k expressions, for instance: make test-cluster TESTS="-k killed_rank"
test-cluster:
	FINETUNE_CLUSTER_TESTS=1 $(or $(PYTHON),python) -m pytest tests/cluster $(TESTS)
