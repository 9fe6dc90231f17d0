# A real two-node Kubernetes on this machine (docs/testing-cluster.md). Needs root and Debian 12, and Go 1.26 for what is not in the
# cache yet. KUBECONFIG=... make test-cluster runs the tests on another cluster instead.
bring_up := tests/cluster/bring_up

cluster-up: ## bring up a real two-node Kubernetes; prints its KUBECONFIG
	$(bring_up)/up.sh

cluster-down: ## end it; nothing stays but the cache
	$(bring_up)/down.sh

cluster-images: ## build both images from the Dockerfile and load them on its nodes
	$(bring_up)/image.sh build localhost/finetune-operator:test --target operator .
	$(bring_up)/image.sh build localhost/finetune-trainer:test --target trainer .

test-cluster: $(VENV)/.dev ## the tests that need a cluster, for instance with PYTEST='-k killed'
	FINETUNE_CLUSTER_TESTS=1 $(BIN)/python -m pytest tests/chart tests/cluster $(PYTEST)

.PHONY: cluster-up cluster-down cluster-images test-cluster
