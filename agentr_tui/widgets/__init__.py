"""Widgets: what screens are made of. No engine logic here; they read trees and show them."""
