"""Image data sets: scikit-learn's digits, MNIST, Fashion-MNIST and CIFAR-10."""

from flylab.data.images.downloads import MissingImagesError
from flylab.data.images.identity import retitled, title, titles
from flylab.data.images.load import Images, digest, load_images

__all__ = ["Images", "MissingImagesError", "digest", "load_images", "retitled", "title", "titles"]
