"""Fleets for a whole country: services of millions of users, sized and simulated by groups of replicas."""
