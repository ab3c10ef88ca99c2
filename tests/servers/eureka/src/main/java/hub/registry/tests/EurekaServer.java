package hub.registry.tests;

import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.cloud.netflix.eureka.server.EnableEurekaServer;
import org.springframework.context.annotation.Bean;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.http.SessionCreationPolicy;
import org.springframework.security.core.userdetails.User;
import org.springframework.security.core.userdetails.UserDetailsService;
import org.springframework.security.provisioning.InMemoryUserDetailsManager;
import org.springframework.security.web.SecurityFilterChain;

/**
 * The real Eureka server for the tests.
 *
 * <p>Open to everyone, unless the property {@code eureka.auth.user} is set: then every request needs
 * HTTP basic credentials of that user and {@code eureka.auth.password}.
 */
@SpringBootApplication
@EnableEurekaServer
public class EurekaServer {

  public static void main(String[] arguments) {
    SpringApplication.run(EurekaServer.class, arguments);
  }

  // CSRF is off in both cases: Eureka clients send PUT and POST without a token. So are the headers
  // that Spring Security would add, since a plain Eureka answers without them.
  @Bean
  SecurityFilterChain security(HttpSecurity http, @Value("${eureka.auth.user:}") String user)
      throws Exception {
    http.csrf(csrf -> csrf.disable())
        .headers(headers -> headers.disable())
        .sessionManagement(
            session -> session.sessionCreationPolicy(SessionCreationPolicy.STATELESS));
    if (user.isEmpty()) {
      http.authorizeHttpRequests(requests -> requests.anyRequest().permitAll());
    } else {
      http.authorizeHttpRequests(requests -> requests.anyRequest().authenticated())
          .httpBasic(Customizer.withDefaults());
    }
    return http.build();
  }

  // Without a bean of its own, Spring would make up a user and write its password to the log.
  @Bean
  UserDetailsService users(
      @Value("${eureka.auth.user:}") String user,
      @Value("${eureka.auth.password:}") String password) {
    InMemoryUserDetailsManager users = new InMemoryUserDetailsManager();
    if (!user.isEmpty()) {
      users.createUser(User.withUsername(user).password("{noop}" + password).roles("CLIENT").build());
    }
    return users;
  }
}
