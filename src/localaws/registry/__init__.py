"""ECR that holds real images: layers as files, streamed in and out, each step with its caller's rights.

Try it:  docker push to the address that GetAuthorizationToken names
Knows HTTP, digests and disk space, and nothing of who runs an image.
"""
