"""Measurements that README and the changelog stand on; not part of the package."""
