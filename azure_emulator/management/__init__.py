"""Identity and Azure Resource Manager: the subscription, the workspace, its computes."""
