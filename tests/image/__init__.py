"""What takes an image, a stack and QEMU together (make image-e2e): not part of `make test`."""
