"""Azure Resource Manager and identity: the subscription, the workspace, its computes."""
