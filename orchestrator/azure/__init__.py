"""The connection to an Azure ML workspace, shared by tracking and deployment. The SDK is imported inside functions only."""
